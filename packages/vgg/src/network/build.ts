import { isVggError, messageOf, VggError } from '@vgg/errors';
import { convOf } from './parse-plan.js';
import type { Layer, Network, Plan } from './plan.js';
import { type MapShape, outputShape } from './shape.js';

/** The dense layers are numbered from 6, as the paper's five blocks leave them, whatever a plan's own number of blocks. */
const FIRST_DENSE = 6;

/** Krizhevsky et al. 2012, section 3.3 (k 2, n 5, alpha 1e-4, beta 0.75), which the VGG paper uses in A-LRN. */
export const ALEXNET_LRN = { radius: 2, bias: 2, alpha: 1e-4, beta: 0.75 };

/**
 * A plan's layers in the order they run: (`conv0`,) `conv1_1`, `bn1_1`, `relu1_1`, `norm1` (LRN), ..., `pool5`, `flatten`, `fc6`, `relu6`, `drop6`, `fc7`, ..., `prob`.
 * The last dense layer has no ReLU, so a net with one dense layer ends `flatten`, `fc6`, `prob`.
 *
 * @throws VggError `VGG_ARCHITECTURE` if no picture of `size` gets through the blocks, or the top cannot be made of convolutions
 */
export function buildNetwork(plan: Plan): Network {
  const layers: Layer[] = [];
  let channels = plan.channels;
  if (plan.colour) layers.push({ kind: 'conv', name: 'conv0', kernel: 1, in: channels, out: channels, padding: plan.padding });
  plan.blocks.forEach((block, index) => {
    const number = index + 1;
    block.forEach((planned, step) => {
      const { kernel, out } = convOf(planned)!;
      const suffix = `${number}_${step + 1}`;
      layers.push({ kind: 'conv', name: `conv${suffix}`, kernel, in: channels, out, padding: plan.padding });
      if (plan.batchNorm) layers.push({ kind: 'batchnorm', name: `bn${suffix}`, channels: out, epsilon: plan.epsilon });
      layers.push({ kind: 'relu', name: `relu${suffix}` });
      if (plan.lrn && suffix === '1_1') layers.push({ kind: 'lrn', name: 'norm1', ...ALEXNET_LRN });
      channels = out;
    });
    if (plan.pools.includes(number)) {
      const { pool, poolSize, poolStride, rounding } = plan;
      layers.push({ kind: 'pool', name: `pool${number}`, pool, size: poolSize, stride: poolStride, rounding });
    }
  });
  if (plan.top) layers.push(...topLayers(plan, lastMap(plan, layers)));
  const { name, classes, size, batchNorm, top } = plan;
  return { name, channels: plan.channels, size, classes, batchNorm, top, layers, plan };
}

function lastMap(plan: Plan, layers: readonly Layer[]): MapShape {
  try {
    return layers.reduce<MapShape>((shape, layer) => outputShape(layer, shape, plan.name), [plan.size, plan.size, plan.channels]);
  } catch (error) {
    if (!isVggError(error, 'VGG_SHAPE')) throw error;
    throw new VggError(
      'VGG_ARCHITECTURE',
      `plan: expected a "size" that gets through the blocks, received ${plan.size}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function topLayers(plan: Plan, [side, , channels]: MapShape): Layer[] {
  const widths = [...plan.dense, plan.classes];
  const first = plan.globalPool ? ({ kind: 'mean', name: 'mean' } as const) : ({ kind: 'flatten', name: 'flatten' } as const);
  const layers: Layer[] = plan.convolutionalTop ? [] : [first];
  let inputs = plan.convolutionalTop || plan.globalPool ? channels : side * side * channels;
  widths.forEach((out, index) => {
    const number = FIRST_DENSE + index;
    const name = `fc${number}`;
    if (plan.convolutionalTop)
      layers.push({ kind: 'conv', name, kernel: index === 0 ? topKernel(plan, side) : 1, in: inputs, out, padding: 'valid' });
    else layers.push({ kind: 'dense', name, in: inputs, out });
    if (index < widths.length - 1) {
      layers.push({ kind: 'relu', name: `relu${number}` });
      if (plan.dropout > 0) layers.push({ kind: 'dropout', name: `drop${number}`, rate: plan.dropout });
    }
    inputs = out;
  });
  // Paper, section 3.2: the class score map is averaged over its cells before the soft-max.
  if (plan.convolutionalTop) layers.push({ kind: 'mean', name: 'mean' });
  layers.push({ kind: 'softmax', name: 'prob' });
  return layers;
}

function topKernel(plan: Plan, side: number): 1 | 3 | 7 {
  if (side === 1 || side === 3 || side === 7) return side;
  throw new VggError(
    'VGG_ARCHITECTURE',
    `plan: expected a last map of 7x7, 3x3 or 1x1 for "convolutionalTop", received ${side}x${side} from "size" ${plan.size}`,
  );
}
