import { type Json, member } from '../../json.js';
import { pastLimit } from '../../refusals.js';

/**
 * Names for the weights of a tfjs graph-model: a frozen TensorFlow graph (tensorflow/core/framework/graph.proto as JSON), in which a
 * weight is a constant under the name of what once read it, such as `StatefulPartitionedCall/vgg16/block1_conv1/Conv2D/ReadVariableOp`.
 * What it is to its layer only the operations tell that take it. Nothing of the graph is run.
 */

/** Nodes of one graph: VGG-16 has some 60 of them when it is optimised, and 300 before. */
const MAX_NODES = 65536;
/** Nodes between a weight and what takes it: an identity or two. */
const MAX_STEPS = 16;

interface Node {
  readonly op: string;
  /** By name; those that only say what runs first are left out. */
  readonly inputs: readonly string[];
}

/** What gives its first input on, perhaps in another shape or type. */
const PASSING = new Set(['Identity', 'Reshape', 'Squeeze', 'ExpandDims', 'Cast', 'EnsureShape', 'ReadVariableOp']);
const KERNEL = new Set(['Conv2D', '_FusedConv2D', 'FusedConv2D', 'MatMul', '_FusedMatMul', 'FusedMatMul', 'BatchMatMulV2']);
const BIAS = new Set(['BiasAdd', 'BiasAddV1', 'Add', 'AddV2']);
const NORMALISATION = new Set(['FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3']);
/** The inputs of a normalisation behind its first one. */
const NORMALISED = ['gamma', 'beta', 'moving_mean', 'moving_variance'];

/** Last parts of names that say what the weight is: variables' own names, which are left as they are. */
const OWN = /(^|\/)(kernel|bias|weights|biases|gamma|beta|moving_mean|moving_variance|filters?|[wWbB])$/;
/** Parts of a path that are operations within a layer. */
const OPERATION =
  /^(resource|merged_input|(ReadVariableOp|Conv2D|convolution|MatMul|BiasAdd|Reshape|Squeeze|Cast|[aA]dd|AddV2|batchnorm|FusedBatchNormV?\d?)(_\w+)?)$/;

/** A tidy name such as `block1_conv1/kernel` for each of these weights that is one of a layer; the others have none. */
export function graphNames(topology: Json | undefined, weights: readonly string[], who: string): Map<string, string> {
  const nodes = readNodes(topology, who);
  const known = new Set(weights);
  const roles = findRoles(nodes, known);
  const suffix = commonSuffix([...roles.values()].map(({ layer }) => layer));
  const wanted = new Map<string, string>();
  const counts = new Map<string, number>();
  for (const name of weights) {
    const role = roles.get(name);
    const layer = role?.layer.slice(role.layer.lastIndexOf('/') + 1);
    const tidy = !role || !layer || OWN.test(name) ? name : `${layer.slice(0, layer.length - suffix.length)}/${role.part}`;
    wanted.set(name, tidy);
    counts.set(tidy, (counts.get(tidy) ?? 0) + 1);
  }
  return new Map([...wanted].filter(([name, tidy]) => tidy !== name && counts.get(tidy) === 1 && !known.has(tidy)));
}

function readNodes(topology: Json | undefined, who: string): Map<string, Node> {
  const list = member(topology, 'node');
  const nodes = new Map<string, Node>();
  if (!Array.isArray(list)) return nodes;
  if (list.length > MAX_NODES) throw pastLimit(who, `at most ${MAX_NODES} nodes`, list.length);
  for (const item of list) {
    const name = member(item, 'name');
    const op = member(item, 'op');
    const input = member(item, 'input');
    if (typeof name !== 'string' || typeof op !== 'string') continue;
    const inputs = (Array.isArray(input) ? input : []).filter((from) => typeof from === 'string' && !from.startsWith('^')) as string[];
    nodes.set(name, { op, inputs: inputs.map((from) => from.replace(/:\d+$/, '')) });
  }
  return nodes;
}

interface Role {
  /** The path of the layer. */
  readonly layer: string;
  readonly part: string;
}

function findRoles(nodes: ReadonlyMap<string, Node>, weights: ReadonlySet<string>): Map<string, Role> {
  const roles = new Map<string, Role>();
  /** The layer of each convolution and dense layer, by the name of its node. */
  const layers = new Map<string, string>();
  const weight = (from: string | undefined) => follow(nodes, from, (name) => weights.has(name));
  const take = (name: string | undefined, layer: string, part: string) => {
    if (name !== undefined && !roles.has(name)) roles.set(name, { layer, part });
  };
  for (const [name, { op, inputs }] of nodes) {
    if (KERNEL.has(op)) {
      const kernel = weight(inputs[1]);
      if (kernel === undefined) continue;
      const layer = layerOf(kernel, name);
      layers.set(name, layer);
      take(kernel, layer, 'kernel');
      // A fused one has the bias next, and perhaps the slope of an activation.
      if (/[fF]used/.test(op) && inputs.length <= 4) take(weight(inputs[2]), layer, 'bias');
    } else if (NORMALISATION.has(op)) {
      for (const [i, part] of NORMALISED.entries()) take(weight(inputs[i + 1]), layerOf(name, name), part);
    }
  }
  for (const { op, inputs } of nodes.values()) {
    if (!BIAS.has(op) || inputs.length !== 2) continue;
    for (const [from, other] of [inputs, inputs.toReversed()] as [string, string][]) {
      const node = follow(nodes, from, (name) => layers.has(name));
      if (node !== undefined) take(weight(other), layers.get(node)!, 'bias');
    }
  }
  return roles;
}

/** The node that a chain of passing ones comes from, if it is one of those that are looked for. */
function follow(nodes: ReadonlyMap<string, Node>, from: string | undefined, isWanted: (name: string) => boolean): string | undefined {
  let at = from;
  for (let step = 0; at !== undefined && step < MAX_STEPS; step++) {
    if (isWanted(at)) return at;
    const node = nodes.get(at);
    at = node && PASSING.has(node.op) ? node.inputs[0] : undefined;
  }
  return undefined;
}

/** The path of a layer, from the name of its kernel or, where that has no path, of the node. */
function layerOf(kernel: string, node: string): string {
  const parts = (kernel.includes('/') ? kernel : node).split('/');
  while (parts.length > 1 && OPERATION.test(parts.at(-1)!)) parts.pop();
  return parts.join('/');
}

/** Keras 3 exports `vgg16_1/block1_conv1_1/...` for `vgg16/block1_conv1`: the ending that all layers share with what they are in. */
function commonSuffix(layers: readonly string[]): string {
  const suffix = /_\d+$/.exec(layers[0]?.split('/').at(-2) ?? '')?.[0];
  const isShared = (layer: string) => {
    const parts = layer.split('/');
    return parts.length > 1 && parts.at(-1)!.endsWith(suffix!) && parts.at(-2)!.endsWith(suffix!);
  };
  return suffix !== undefined && layers.every(isShared) ? suffix : '';
}
