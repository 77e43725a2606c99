import type { GraphLayer } from '../../graph.js';
import { shortestDecimal } from '../../numbers.js';
import type { Part } from '../../spec.js';
import { dataInput } from './chain.js';
import { asVector, type Constant, type Constants, transposed } from './constants.js';
import type { Node } from './model.js';
import { cutsBelowZero, quantisedWeights } from './quantised.js';
import { ceilPad, isSquare, type Padding, paddingOf, pairOf } from './windows.js';

/** A layer and its weights, as far as it is one that a VGG has. */
export interface Step {
  readonly layer: GraphLayer;
  readonly parts: ReadonlyMap<Part, Constant>;
}

/** What a layer's reader is given: the chain from its own node on. */
interface Context {
  readonly node: Node;
  readonly rest: readonly Node[];
  readonly constants: Constants;
  readonly producers: ReadonlyMap<string, Node>;
}

/** A layer, how many nodes of the chain it is made of, and a layer that the same nodes are too. */
interface Taken extends Step {
  readonly nodes: number;
  readonly behind?: Step;
}

const NONE: ReadonlyMap<Part, Constant> = new Map();
/** Operations that leave the values as they are, or only round them. */
const SAME: ReadonlySet<string> = new Set(['Identity', 'Cast', 'QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear']);
const CHANNELS_LAST = '0,2,3,1';
const CHANNELS_FIRST = '0,3,1,2';

export interface Read {
  readonly steps: readonly Step[];
  /** Whether the input is [N, H, W, C], as TensorFlow has it. */
  readonly channelsLast: boolean;
}

/** The layers that a chain of nodes stands for; what no VGG has is `other`. */
export async function readLayers(chain: readonly Node[], producers: ReadonlyMap<string, Node>, constants: Constants): Promise<Read> {
  const steps: Step[] = [];
  let inputLast = false;
  let last = false; // whether the channels are the last axis just now
  let flat = false;
  let rowsLast = false; // whether the map was flattened so, which decides the order of the next dense layer's rows
  for (let i = 0; i < chain.length; ) {
    const node = chain[i]!;
    const place = { node, rest: chain.slice(i + 1, i + LOOK), constants, producers };
    const order = node.op === 'Transpose' ? String(node.attributes.get('perm')?.ints) : '';
    const flattens = !order && (await isFlatten(place));
    const taken = order || flattens || SAME.has(node.op) ? undefined : await readLayer(place, last);
    i += taken?.nodes ?? 1;
    if (order === CHANNELS_FIRST || order === CHANNELS_LAST) {
      inputLast ||= i === 1 && order === CHANNELS_FIRST;
      last = order === CHANNELS_LAST;
    } else if (order) {
      steps.push(other(node));
    } else if (flattens) {
      if (!flat) steps.push({ layer: { kind: 'flatten', name: nameOf(node) }, parts: NONE });
      if (!flat) rowsLast = last;
      flat = true;
    } else if (taken) {
      const { layer, parts } = taken;
      if (layer.kind === 'pool' && layer.size === 1 && layer.stride === 1) continue; // torchvision's adaptive pool at its own size
      steps.push({ layer, parts: layer.kind === 'dense' && rowsLast ? inputFirst(parts) : parts });
      const cuts = parts.size > 0 && (await isCut(chain[i - 1]!, chain[i], constants));
      if (taken.behind || cuts) steps.push(taken.behind ?? relu(layer.name));
      if (layer.kind === 'dense') rowsLast = false;
      flat ||= layer.kind === 'dense' || layer.kind === 'mean';
    }
  }
  return { steps, channelsLast: inputLast };
}

/** Whether what a layer gives is quantised without its negative values, by its own last node or one behind it. */
async function isCut(last: Node, next: Node | undefined, constants: Constants): Promise<boolean> {
  return (await cutsBelowZero(last, constants)) || (next?.op === 'QuantizeLinear' && (await cutsBelowZero(next, constants)));
}

/** Nodes that make one layer at most, and its own: an integer convolution is followed by a Cast, a Mul and an Add. */
const LOOK = 5;

async function readLayer(place: Context, last: boolean): Promise<Taken> {
  const { node } = place;
  const found = await READERS.get(node.op)?.(place, last);
  return found ?? { ...other(node), nodes: 1 };
}

type Reader = (place: Context, last: boolean) => Taken | undefined | Promise<Taken | undefined>;

const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['Conv', (place) => conv(place)],
  ['FusedConv', (place) => conv(place)],
  ['QLinearConv', (place) => conv(place)],
  ['ConvInteger', (place) => conv(place)],
  ['Pad', padThenConv],
  ['Gemm', dense],
  ['MatMul', dense],
  ['QGemm', dense],
  ['QLinearMatMul', dense],
  ['MatMulInteger', dense],
  ['BatchNormalization', batchNorm],
  ['LRN', lrn],
  ['MaxPool', (place) => pool(place, 'max')],
  ['AveragePool', (place) => pool(place, 'average')],
  ['QLinearAveragePool', (place) => pool(place, 'average')],
  ['Mul', rootMeanSquare],
  ['Dropout', dropout],
  ['ReduceMean', mean],
  ['GlobalAveragePool', ({ node }) => simple(node, 'mean')],
  ['QLinearGlobalAveragePool', ({ node }) => simple(node, 'mean')],
  ['Relu', ({ node }) => simple(node, 'relu')],
  ['Softmax', ({ node }) => simple(node, 'softmax')],
  ['QLinearSoftmax', ({ node }) => simple(node, 'softmax')],
]);

function simple(node: Node, kind: 'relu' | 'softmax' | 'mean'): Taken {
  return { layer: { kind, name: nameOf(node) }, parts: NONE, nodes: 1 };
}

function other(node: Node): Step {
  return { layer: { kind: 'other', name: nameOf(node), type: node.op }, parts: NONE };
}

/** One that is no node of its own. */
function relu(of: string): Step {
  return { layer: { kind: 'relu', name: `${of}_relu` }, parts: NONE };
}

function nameOf({ name, outputs, op }: Node): string {
  return name || outputs[0] || op;
}

function conv(place: Context, added?: Padding): Taken | undefined {
  const { node, constants } = place;
  const found = weightsOf(place);
  const shape = found?.weight.tensor.info.shape;
  if (!found || shape?.length !== 4) return undefined;
  const [out, channels, height, width] = shape as [number, number, number, number];
  const stride = pairOf(node, 'strides');
  const dilation = pairOf(node, 'dilations');
  const own = paddingOf(node, [height, width], dilation?.[0] ?? 1);
  const groups = node.attributes.get('group')?.int ?? 1;
  if (!isSquare(stride) || !isSquare(dilation) || own === undefined || (added && own !== 0)) return undefined;
  const activation = node.attributes.get('activation')?.text;
  if (activation !== undefined && activation !== 'Relu') return undefined;
  const { parts, nodes } = withBias(found, out, place.rest, constants);
  return {
    layer: {
      kind: 'conv',
      name: nameOf(node),
      in: channels * groups,
      out,
      kernel: [height, width],
      stride: stride[0],
      pad: added?.pad ?? own,
      ...(added?.mode === 'reflect' && { padding: 'reflect' }),
      dilation: dilation[0],
      groups,
      bias: parts.has('bias'),
    },
    parts,
    nodes,
    ...(activation && { behind: relu(nameOf(node)) }),
  };
}

/** A Pad that a convolution without one of its own follows: reflected borders, or zeros apart. */
async function padThenConv(place: Context): Promise<Taken | undefined> {
  const { node, rest, constants, producers } = place;
  const [next, ...behind] = rest;
  const mode = node.attributes.get('mode')?.text ?? 'constant';
  const pads = node.attributes.get('pads')?.ints ?? (await constants.small(node.inputs[1]));
  const value = node.attributes.get('value')?.float ?? (node.inputs[2] ? (await constants.small(node.inputs[2]))?.[0] : 0);
  const [pad] = pads?.slice(2) ?? [];
  const allRound = pad !== undefined && pads?.length === 8 && String(pads) === String([0, 0, pad, pad, 0, 0, pad, pad]);
  const isKnown = mode === 'reflect' || (mode === 'constant' && value === 0);
  if (!allRound || pad < 0 || !isKnown || node.inputs[3] || !next || !/^(?:Conv|QLinearConv)$/.test(next.op)) return undefined;
  const taken = conv({ node: next, rest: behind, constants, producers }, { pad, mode });
  return taken && { ...taken, nodes: taken.nodes + 1 };
}

function dense(place: Context): Taken | undefined {
  const { node, constants } = place;
  const { attributes } = node;
  const found = weightsOf(place);
  if (found?.weight.tensor.info.shape.length !== 2) return undefined;
  const scaled = (attributes.get('alpha')?.float ?? 1) !== 1 || (found.bias && (attributes.get('beta')?.float ?? 1) !== 1);
  if (scaled || attributes.get('transA')?.int) return undefined;
  const weight = attributes.get('transB')?.int ? found.weight : transposed(found.weight, [1, 0])!;
  const [out, inputs] = weight.tensor.info.shape as [number, number];
  const { parts, nodes } = withBias({ ...found, weight }, out, place.rest, constants);
  return { layer: { kind: 'dense', name: nameOf(node), in: inputs, out, bias: parts.has('bias') }, parts, nodes };
}

/** Dense weights are [out, in] as a rule; those whose rows are in the order H, W, C are given [in, out], as they are without any change. */
function inputFirst(parts: ReadonlyMap<Part, Constant>): ReadonlyMap<Part, Constant> {
  const weight = parts.get('weight')!;
  return new Map([...parts, ['weight', transposed(weight, [1, 0])!]]);
}

export interface Weights {
  readonly weight: Constant;
  readonly bias?: Constant | undefined;
  /** How many nodes they are spread over. */
  readonly nodes: number;
}

/** The constants of a convolution or matrix product whose data are its first input. */
function weightsOf({ node, rest, constants, producers }: Context): Weights | undefined {
  if (dataInput(node, constants) !== node.inputs[0]) return undefined;
  if (/^QLinear|^QGemm|Integer$/.test(node.op)) return quantisedWeights(node, rest, constants, producers);
  const weight = constants.get(node.inputs[1]);
  if (!weight) return undefined;
  if (!node.inputs[2]) return { weight, nodes: 1 };
  const bias = constants.get(node.inputs[2]);
  return bias && { weight, bias, nodes: 1 };
}

/** The weights as parts; a bias may also be added by a node of its own. */
function withBias(found: Weights, out: number, rest: readonly Node[], constants: Constants): { parts: Map<Part, Constant>; nodes: number } {
  const parts = new Map<Part, Constant>([['weight', found.weight]]);
  const own = found.bias && asVector(found.bias);
  if (own) parts.set('bias', own);
  const next = rest[found.nodes - 1];
  if (own || next?.op !== 'Add') return { parts, nodes: found.nodes };
  const added = constants.get(next.inputs.find((name) => constants.has(name)));
  const vector = added && asVector(added);
  if (vector?.tensor.info.shape[0] !== out) return { parts, nodes: found.nodes };
  return { parts: parts.set('bias', vector), nodes: found.nodes + 1 };
}

function batchNorm({ node, constants }: Context): Taken | undefined {
  const parts = new Map<Part, Constant>();
  for (const [i, part] of (['scale', 'offset', 'mean', 'variance'] as const).entries()) {
    const constant = constants.get(node.inputs[i + 1]);
    const vector = constant && asVector(constant);
    if (!vector) return undefined;
    parts.set(part, vector);
  }
  const channels = parts.get('scale')!.tensor.info.shape[0]!;
  const epsilon = node.attributes.get('epsilon')?.float ?? 1e-5;
  return { layer: { kind: 'batchnorm', name: nameOf(node), channels, epsilon: shortestDecimal(epsilon) }, parts, nodes: 1 };
}

/** ONNX's alpha is the mean's, ours the sum's. */
function lrn({ node }: Context): Taken | undefined {
  const number = (key: string, otherwise: number) => shortestDecimal(node.attributes.get(key)?.float ?? otherwise);
  const size = node.attributes.get('size')?.int ?? 0;
  if (size < 1 || size % 2 === 0) return undefined;
  const [alpha, beta, bias] = [number('alpha', 1e-4), number('beta', 0.75), number('bias', 1)];
  const layer: GraphLayer = { kind: 'lrn', name: nameOf(node), radius: (size - 1) / 2, bias, alpha: shortestDecimal(alpha / size), beta };
  return { layer, parts: NONE, nodes: 1 };
}

function pool({ node }: Context, kind: 'max' | 'average'): Taken | undefined {
  const kernel = pairOf(node, 'kernel_shape');
  const stride = pairOf(node, 'strides');
  const dilation = pairOf(node, 'dilations');
  if (!isSquare(kernel) || !isSquare(stride) || dilation?.[0] !== 1 || dilation[1] !== 1) return undefined;
  const size = kernel[0];
  const isCeil = node.attributes.get('ceil_mode')?.int === 1 || ceilPad(node, stride[0]);
  const pad = ceilPad(node, stride[0]) ? 0 : paddingOf(node, kernel, 1);
  // The mean is over the cells on the map; one over padded cells too is another.
  const countsPad = kind === 'average' && node.attributes.get('count_include_pad')?.int === 1;
  if (pad === undefined || (countsPad && (pad !== 0 || ceilPad(node, stride[0])))) return undefined;
  const rounding = isCeil ? 'ceil' : 'floor';
  return { layer: { kind: 'pool', name: nameOf(node), pool: kind, size, stride: stride[0], pad, rounding }, parts: NONE, nodes: 1 };
}

/** The l2 pool: a square, the mean of each window, a root. */
function rootMeanSquare({ node, rest, constants, producers }: Context): Taken | undefined {
  const [average, root] = rest;
  if (node.inputs.length !== 2 || node.inputs[0] !== node.inputs[1] || average?.op !== 'AveragePool' || root?.op !== 'Sqrt')
    return undefined;
  const taken = pool({ node: average, rest, constants, producers }, 'average');
  if (taken?.layer.kind !== 'pool') return undefined;
  return { ...taken, layer: { ...taken.layer, name: nameOf(root), pool: 'l2' }, nodes: 3 };
}

async function dropout({ node, constants }: Context): Promise<Taken> {
  const rate = node.attributes.get('ratio')?.float ?? (node.inputs[1] ? (await constants.small(node.inputs[1]))?.[0] : undefined) ?? 0.5;
  return { layer: { kind: 'dropout', name: nameOf(node), rate: shortestDecimal(rate) }, parts: NONE, nodes: 1 };
}

async function mean({ node, constants }: Context, last: boolean): Promise<Taken | undefined> {
  const axes = node.attributes.get('axes')?.ints ?? (await constants.small(node.inputs[1])) ?? [];
  const sorted = axes.map((axis) => (axis < 0 ? axis + 4 : axis)).toSorted((a, b) => a - b);
  return String(sorted) === (last ? '1,2' : '2,3') ? simple(node, 'mean') : undefined;
}

/** To [N, values]: Flatten, or a Reshape to two axes, whose sizes PyTorch may compute as it runs. */
async function isFlatten({ node, rest, constants }: Context): Promise<boolean> {
  if (node.op === 'Flatten') return (node.attributes.get('axis')?.int ?? 1) === 1;
  if (node.op === 'Squeeze') return true;
  if (node.op !== 'Reshape') return false;
  if (constants.has(node.inputs[1]) || node.attributes.has('shape')) {
    return (node.attributes.get('shape')?.ints ?? (await constants.small(node.inputs[1])))?.length === 2;
  }
  const next = rest.find(({ op }) => !SAME.has(op) && op !== 'Dropout');
  return next !== undefined && /^(?:Gemm|MatMul|QGemm|QLinearMatMul|MatMulInteger)$/.test(next.op);
}
