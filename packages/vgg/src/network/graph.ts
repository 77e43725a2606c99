import type { FileGraph, GraphLayer } from '@vgg/loaders';
import { ARCHITECTURES, findArchitecture, network } from './architecture.js';
import { ALEXNET_LRN } from './build.js';
import { PLAN_DEFAULTS, parsePlan } from './parse-plan.js';
import type { Layer, Network, Padding, Plan, PlannedConv } from './plan.js';

type Of<Kind extends GraphLayer['kind']> = Extract<GraphLayer, { kind: Kind }>;

/** What training adds to a network's file, and what only hands values on. */
const NO_LAYER = /data|input|accuracy|loss|split|silence|argmax|identity/i;
/** Numbers such as alpha went through float32. */
const CLOSE = 1e-5;

/**
 * The plan of a network that a file tells of layer by layer, if it is of the family: convolutions of 3x3 or 1x1 with a ReLU behind each,
 * pools all of a kind, dense layers or convolutions in their place. Undefined for any other network.
 *
 * @example
 * planOfGraph(graphOfNetwork(network('vgg16_bn'))); // the plan of vgg16_bn
 */
export function planOfGraph(graph: FileGraph): Plan | undefined {
  const layers = graph.layers.filter((layer) => !isIdle(layer));
  const cursor = new Cursor(layers);
  const colour = takeColour(cursor);
  const features = takeFeatures(cursor);
  const top = features && takeTop(cursor);
  if (!features || !top || cursor.next) return undefined;
  const { height, width } = graph.input ?? {};
  if (height !== width && top.top) return undefined;
  const channels = graph.input?.channels ?? inputsOf(layers[0]);
  const size = (height === width ? height : undefined) ?? (top.globalPool ? undefined : sizeOf(layers, features));
  const plan = { ...features, ...top, colour, ...(channels && { channels }), ...(size && { size }) };
  try {
    const parsed = parsePlan(plan);
    return network({ ...parsed, name: nameOf(parsed, graph.name) }).plan;
  } catch {
    return undefined; // beyond what a plan may be, or no picture of that size gets through
  }
}

/** The layers of a network as a file tells of them: what {@link planOfGraph} reads. Names are the paper's. */
export function graphOfNetwork({ name, channels, size, layers }: Pick<Network, 'name' | 'channels' | 'size' | 'layers'>): FileGraph {
  return { name, input: { channels, height: size, width: size }, layers: layers.map(graphLayer) };
}

function graphLayer(layer: Layer): GraphLayer {
  switch (layer.kind) {
    case 'conv': {
      const { name, kernel, padding } = layer;
      const pad = padding === 'valid' ? 0 : (kernel - 1) / 2;
      const border = padding === 'reflect' ? ({ padding: 'reflect' } as const) : {};
      const shape = { in: layer.in, out: layer.out, kernel: [kernel, kernel] as const };
      return { kind: 'conv', name, ...shape, stride: 1, pad, ...border, dilation: 1, groups: 1, bias: true };
    }
    case 'dense':
      return { ...layer, bias: true };
    case 'pool':
      return { ...layer, pad: 0 };
    default:
      return layer;
  }
}

/** Runs through the layers one by one. */
class Cursor {
  #at = 0;
  constructor(readonly layers: readonly GraphLayer[]) {}
  get next(): GraphLayer | undefined {
    return this.layers[this.#at];
  }
  after(steps: number): GraphLayer | undefined {
    return this.layers[this.#at + steps];
  }
  take<Kind extends GraphLayer['kind']>(kind: Kind): Of<Kind> | undefined {
    if (this.next?.kind !== kind) return undefined;
    return this.layers[this.#at++] as Of<Kind>;
  }
}

function isIdle(layer: GraphLayer): boolean {
  // PyTorch's adaptive pool, at the size that the dense layers were made for.
  if (layer.kind === 'pool') return layer.size === 1 && layer.stride === 1;
  return layer.kind === 'other' && NO_LAYER.test(layer.type);
}

/** AdaIN's convolution of the colours: 1x1, of as many channels as the picture has, with no ReLU behind it. */
function takeColour(cursor: Cursor): boolean {
  const [first, second] = [cursor.next, cursor.after(1)];
  if (first?.kind !== 'conv' || second?.kind !== 'conv' || !isPlain(first) || first.kernel[0] !== 1) return false;
  if (first.in !== undefined && first.in !== first.out) return false;
  return cursor.take('conv') !== undefined;
}

type Features = Pick<
  Plan,
  'blocks' | 'pools' | 'pool' | 'poolSize' | 'poolStride' | 'rounding' | 'padding' | 'batchNorm' | 'epsilon' | 'lrn'
>;

interface Step {
  readonly conv: Of<'conv'>;
  readonly norm: Of<'batchnorm'> | undefined;
  /** Behind the ReLU. */
  readonly lrn: Of<'lrn'> | undefined;
  readonly pool: Of<'pool'> | undefined;
}

/** Everything up to the last pool or the first convolution of the top. */
function takeFeatures(cursor: Cursor): Features | undefined {
  const steps: Step[] = [];
  while (cursor.next?.kind === 'conv' && !isTop(cursor.next)) {
    const conv = cursor.take('conv')!;
    const norm = cursor.take('batchnorm');
    if (!isPlain(conv) || !cursor.take('relu')) return undefined;
    const lrn = cursor.take('lrn');
    cursor.take('dropout'); // of use while training only, in VGGs for small pictures
    steps.push({ conv, norm, lrn, pool: cursor.take('pool') });
    cursor.take('dropout');
  }
  const lrns = steps.flatMap(({ lrn }, i) => (lrn ? [{ lrn, i }] : []));
  if (steps.length === 0 || lrns.length > 1 || lrns.some(({ lrn, i }) => i !== 0 || !isAlexNets(lrn))) return undefined;
  const padding = paddingOf(steps.map(({ conv }) => conv));
  const pool = poolOf(steps.flatMap(({ pool }) => pool ?? []));
  const norms = steps.flatMap(({ norm }) => norm ?? []);
  if (!padding || !pool || (norms.length > 0 && norms.length < steps.length)) return undefined;
  if (norms.some(({ epsilon }) => !isClose(epsilon, norms[0]!.epsilon))) return undefined;
  return {
    ...blocksOf(steps),
    ...pool,
    padding,
    batchNorm: norms.length > 0,
    epsilon: norms[0]?.epsilon ?? PLAN_DEFAULTS.epsilon,
    lrn: lrns.length > 0,
  };
}

/** A stride, groups or holes are of other families. */
function isPlain({ kernel, stride, dilation, groups }: Of<'conv'>): boolean {
  return kernel[0] === kernel[1] && (kernel[0] === 3 || kernel[0] === 1) && stride === 1 && dilation === 1 && groups === 1;
}

/** A dense layer in the form of a convolution. */
function isTop({ name, kernel }: Of<'conv'>): boolean {
  return /^fc\d/.test(name) || kernel[0] === 7;
}

function isAlexNets(lrn: Of<'lrn'>): boolean {
  return (['radius', 'bias', 'alpha', 'beta'] as const).every((key) => isClose(lrn[key], ALEXNET_LRN[key]));
}

function isClose(a: number, b: number): boolean {
  return Math.abs(a - b) <= CLOSE * Math.abs(b);
}

function paddingOf(convs: readonly Of<'conv'>[]): Padding | undefined {
  const found = new Set<Padding | undefined>();
  for (const { kernel, pad, padding = 'zero' } of convs) {
    const isSame = pad === 'same' || pad === (kernel[0] - 1) / 2;
    if (kernel[0] === 1) {
      if (!isSame) return undefined;
    } else found.add(isSame ? padding : pad === 0 ? 'valid' : undefined);
  }
  return found.size === 0 ? 'zero' : found.size === 1 ? [...found][0] : undefined;
}

function poolOf(pools: readonly Of<'pool'>[]): Pick<Plan, 'pool' | 'poolSize' | 'poolStride' | 'rounding'> | undefined {
  const [first] = pools;
  if (first === undefined) {
    const { pool, poolSize, poolStride, rounding } = PLAN_DEFAULTS;
    return { pool, poolSize, poolStride, rounding };
  }
  const keys = ['pool', 'size', 'stride', 'pad', 'rounding'] as const;
  if (pools.some((pool) => keys.some((key) => pool[key] !== first[key]))) return undefined;
  const { pool, size, stride, pad } = first;
  // TensorFlow's SAME counts a window that begins inside the map, as rounding up does; what it adds is no maximum.
  const isSame = pad === 'same' && pool === 'max' && size === stride;
  if (pad !== 0 && !isSame) return undefined;
  return { pool, poolSize: size, poolStride: stride, rounding: isSame ? 'ceil' : first.rounding };
}

/** Blocks as the names tell (`conv3_1`), for not every block need end with a pool; else a block is what lies before a pool. */
function blocksOf(steps: readonly Step[]): Pick<Plan, 'blocks' | 'pools'> {
  const named = steps.map(({ conv }) => Number(/^conv(\d+)_\d+$/.exec(conv.name)?.[1] ?? Number.NaN));
  const byName = steps.every((_, i) => {
    const rise = named[i]! - (named[i - 1] ?? 0);
    return (rise === 0 && !steps[i - 1]?.pool) || rise === 1;
  });
  const blocks: PlannedConv[][] = [];
  const pools: number[] = [];
  for (const [i, { conv, pool }] of steps.entries()) {
    const begins = i === 0 || (byName ? named[i] !== named[i - 1] : steps[i - 1]!.pool !== undefined);
    if (begins) blocks.push([]);
    blocks.at(-1)!.push(conv.kernel[0] === 1 ? `conv1-${conv.out}` : conv.out);
    if (pool) pools.push(blocks.length);
  }
  return { blocks, pools };
}

type Top = Pick<Plan, 'top'> & Partial<Pick<Plan, 'dense' | 'classes' | 'dropout' | 'convolutionalTop' | 'globalPool'>>;

function takeTop(cursor: Cursor): Top | undefined {
  const globalPool = cursor.take('mean') !== undefined;
  const isFlat = cursor.take('flatten') !== undefined;
  const widths: number[] = [];
  let dropout = 0;
  let convolutional = 0;
  let hasScores = false;
  while (cursor.next?.kind === 'dense' || cursor.next?.kind === 'conv') {
    const layer = (cursor.take('dense') ?? cursor.take('conv'))!;
    if (layer.kind === 'conv') {
      const isFirst = widths.length === 0;
      const isSquare = layer.kernel[0] === layer.kernel[1];
      const isValid = layer.pad === 0 || layer.kernel[0] === 1;
      if (!isSquare || !isValid || (!isFirst && layer.kernel[0] !== 1) || layer.stride !== 1 || layer.dilation !== 1) return undefined;
      convolutional++;
    }
    widths.push(layer.out);
    hasScores = !cursor.take('relu');
    if (hasScores) break;
    const dropped = cursor.take('dropout');
    dropout ||= dropped?.rate ?? 0;
  }
  // MatConvNet and TF-Slim keep dense layers as convolutions too; those over a larger map are averaged.
  const isAveraged = convolutional > 0 && cursor.take('mean') !== undefined;
  cursor.take('softmax');
  if (widths.length === 0) return isFlat || globalPool ? undefined : { top: false };
  if (!hasScores || (globalPool && convolutional > 0) || (convolutional > 0 && convolutional < widths.length)) return undefined;
  const dense = widths.slice(0, -1);
  return {
    top: true,
    dense,
    classes: widths.at(-1)!,
    convolutionalTop: isAveraged,
    globalPool,
    // Nothing tells where there is no hidden layer.
    dropout: dense.length > 0 ? dropout : PLAN_DEFAULTS.dropout,
  };
}

const inputsOf = (layer: GraphLayer | undefined) => (layer?.kind === 'conv' || layer?.kind === 'dense' ? layer.in : undefined);

/** The side of the pictures that the first dense layer was made for, where it tells. */
function sizeOf(layers: readonly GraphLayer[], { pools, poolStride, poolSize, padding }: Features): number | undefined {
  const last = layers.findLast((layer) => layer.kind === 'conv' && !isTop(layer));
  const first = layers.find((layer) => layer.kind === 'dense' || (layer.kind === 'conv' && isTop(layer)));
  const inputs = first?.kind === 'conv' ? first.kernel[0] ** 2 : (inputsOf(first) ?? 0) / (last?.kind === 'conv' ? last.out : 1);
  const side = Math.sqrt(inputs) * poolStride ** pools.length;
  return side > 0 && Number.isInteger(side) && padding !== 'valid' && poolSize === poolStride ? side : undefined;
}

/** The family's name for it, or the file's own. */
function nameOf(plan: Plan, own: string | undefined): string {
  const called = own === undefined ? undefined : findArchitecture(own)?.architecture;
  const like = [...(called ? [called] : []), ...ARCHITECTURES.filter(({ column }) => column !== undefined)].find(
    (row) => JSON.stringify(row.plan.blocks) === JSON.stringify(plan.blocks) && (row.plan.lrn ?? false) === plan.lrn,
  );
  if (!like) return own?.slice(0, 100) || PLAN_DEFAULTS.name;
  return plan.batchNorm && !like.plan.batchNorm ? `${like.name}_bn` : like.name;
}
