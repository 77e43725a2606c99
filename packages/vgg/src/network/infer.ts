import { VggError } from '@vgg/errors';
import { ARCHITECTURES, findArchitecture, network } from './architecture.js';
import { convOf } from './parse-plan.js';
import type { Network, Plan, PlannedConv } from './plan.js';

/** The shapes that a weight file shows of its layers, in the order they run. */
export interface WeightShapes {
  /** `kernel` is the side of the window; NaN where it is no square. */
  readonly convs: readonly { readonly kernel: number; readonly in: number; readonly out: number }[];
  readonly batchNorm: boolean;
  /** Empty for a file without dense layers. */
  readonly denses: readonly { readonly in: number; readonly out: number }[];
}

type Conv = WeightShapes['convs'][number];

/**
 * The network whose layers have these shapes. Shapes do not show where the pools are, nor A-LRN (which has A's weights), so what
 * no column of the paper has is not guessed at. Nor do they show what is beyond the border: zeros, but for a colour convolution in
 * front, which only AdaIN's normalised VGGs have, whose borders are mirrored.
 *
 * @param options `name`: what the caller says it is (a name, a plan or its JSON), instead of looking for one; `source`: what the
 *   file is called, for messages
 * @throws VggError `VGG_ARCHITECTURE` if no column matches, several do, or the one that the caller named does not
 * @example
 * inferNetwork({ convs: [{ kernel: 3, in: 3, out: 64 }, ...], denses: [], batchNorm: true }).name; // 'vgg16_bn'
 */
export function inferNetwork(
  shapes: WeightShapes,
  { name, source = 'the weights' }: { name?: Parameters<typeof network>[0]; source?: string } = {},
): Network {
  const { denses, batchNorm } = shapes;
  const { colour, convs } = splitColour(shapes.convs);
  if (convs.length === 0) throw new VggError('VGG_ARCHITECTURE', `${source}: expected the convolutions of a VGG network, received none`);
  const base = network(name ?? columnOf(convs, denses, source));
  if (base.batchNorm && !batchNorm) {
    throw new VggError('VGG_ARCHITECTURE', `${source}: expected batch normalisation as ${base.name} has, received weights without`);
  }
  const isRow = typeof name !== 'object' && findArchitecture(base.name) !== undefined;
  const top: Partial<Plan> = denses.length === 0 ? { top: false } : isRow ? topOf(convs, denses, base.plan, source) : {};
  const front: Partial<Plan> = colour && isRow ? { colour, padding: 'reflect' } : {};
  const found = network(isRow ? base.name : base.plan, { batchNorm, channels: convs[0]!.in, ...top, ...front });
  const expected = found.plan.blocks.flat();
  const odd = ownConvs(convs, expected, denses).findIndex((conv, index) => !isPlanned(conv, expected[index]));
  if (odd >= 0) {
    const here = expected[odd] === undefined ? 'none' : show(expected[odd]);
    throw new VggError(
      'VGG_ARCHITECTURE',
      `${source}: expected ${here} as convolution ${odd + 1} of ${found.name}, received ${showConv(convs[odd]!)}; pass the \`arch\` that the weights were made for`,
    );
  }
  return found;
}

/** AdaIN's colour convolution (Huang and Belongie 2017, vgg_normalised): 1x1, as many channels out as in, before a 3x3. */
function splitColour(convs: readonly Conv[]): { colour: boolean; convs: readonly Conv[] } {
  const [first, second] = convs;
  const colour = first?.kernel === 1 && first.in === first.out && second?.kernel === 3 && second.in === first.out;
  return { colour, convs: colour ? convs.slice(1) : convs };
}

/**
 * Without the convolutions that others put behind all of the network's (SSD's conv6 and conv7, a segmentation's scores): its features
 * are a VGG's all the same, and the rest is reported as unknown.
 */
function ownConvs(convs: readonly Conv[], planned: readonly PlannedConv[], denses: WeightShapes['denses']): readonly Conv[] {
  return denses.length === 0 ? convs.slice(0, planned.length) : convs;
}

function columnOf(convs: readonly Conv[], denses: WeightShapes['denses'], source: string): string {
  // A-LRN has A's weights, and presets have those of the columns: the columns are what shapes can show.
  const columns = ARCHITECTURES.filter(({ column }) => column !== undefined && column !== 'A-LRN');
  const startsSo = columns.filter(({ plan }) => {
    const planned = plan.blocks.flat();
    return ownConvs(convs, planned, denses).every((conv, index) => isPlanned(conv, planned[index]));
  });
  const whole = startsSo.filter(({ plan }) => plan.blocks.flat().length <= convs.length);
  const [match, ...others] = whole.length > 0 ? whole : startsSo;
  if (match && others.length === 0) return match.name;
  const shown = convs.map(showConv).join(', ');
  if (match) {
    const names = startsSo.map((architecture) => architecture.name).join(', ');
    throw new VggError(
      'VGG_ARCHITECTURE',
      `${source}: its ${convs.length} convolutions are the first of ${names}; say which with \`arch\``,
    );
  }
  const isFamily = convs.every(({ kernel }) => kernel === 1 || kernel === 3);
  const remedy = isFamily
    ? `say what it is with \`arch\`, such as ${JSON.stringify({ blocks: blocksOf(convs) })} if a pool follows each block`
    : 'it is of another family than 3x3 and 1x1 convolutions make';
  throw new VggError(
    'VGG_ARCHITECTURE',
    `${source}: expected the convolutions of a VGG column, received ${shown.length > 200 ? `${shown.slice(0, 197)}...` : shown}; ${remedy}`,
  );
}

/**
 * What a plan of one's own leaves open of its dense layers, by the shapes: their widths, the classes, and the size of the pictures where
 * nothing but the pools makes maps smaller.
 *
 * @throws VggError `VGG_ARCHITECTURE` if the dense layers do not follow each other
 */
export function openTop(stated: Partial<Plan>, { convs, denses }: WeightShapes, plan: Plan, source: string): Partial<Plan> {
  if (denses.length === 0 || convs.length === 0 || !plan.top) return {};
  const { dense, classes, size } = stated;
  const isEven = plan.padding !== 'valid' && plan.poolSize === plan.poolStride;
  if (dense && classes && (size || !isEven)) return {};
  const found = topOf(convs, denses, plan, source);
  return {
    ...(dense ? {} : { dense: found.dense }),
    ...(classes ? {} : { classes: found.classes }),
    ...(size || !isEven ? {} : { size: found.size }),
  };
}

/** Dense widths, classes and input size of one of the family. */
function topOf(convs: readonly Conv[], denses: WeightShapes['denses'], plan: Plan, source: string): Partial<Plan> {
  const [first] = denses as [WeightShapes['denses'][number]];
  const channels = convs.at(-1)!.out;
  const side = Math.sqrt(first.in / channels);
  if (!Number.isInteger(side)) {
    throw new VggError(
      'VGG_ARCHITECTURE',
      `${source}: expected a first dense layer on a square map of ${channels} channels, received ${first.in} inputs; say what it is with \`arch\``,
    );
  }
  const loose = denses.findIndex((dense, index) => index > 0 && dense.in !== denses[index - 1]!.out);
  if (loose > 0) {
    throw new VggError(
      'VGG_ARCHITECTURE',
      `${source}: expected ${denses[loose - 1]!.out} inputs for dense layer ${loose + 1}, received ${denses[loose]!.in}`,
    );
  }
  return {
    top: true,
    size: side * plan.poolStride ** plan.pools.length,
    dense: denses.slice(0, -1).map((dense) => dense.out),
    classes: denses.at(-1)!.out,
  };
}

function isPlanned(conv: Conv, planned: PlannedConv | undefined): boolean {
  const expected = convOf(planned);
  return expected !== undefined && expected.kernel === conv.kernel && expected.out === conv.out;
}

/** The likeliest blocks: new channels, new block. For a message only. */
function blocksOf(convs: readonly Conv[]): PlannedConv[][] {
  const blocks: PlannedConv[][] = [];
  convs.forEach((conv, index) => {
    if (index === 0 || conv.out !== convs[index - 1]!.out) blocks.push([]);
    blocks.at(-1)!.push(conv.kernel === 1 ? `conv1-${conv.out}` : conv.out);
  });
  return blocks;
}

/** The paper's notation. */
function show(planned: PlannedConv): string {
  return typeof planned === 'number' ? `conv3-${planned}` : planned;
}

function showConv({ kernel, out }: Conv): string {
  return `conv${Number.isNaN(kernel) ? '?' : kernel}-${out}`;
}
