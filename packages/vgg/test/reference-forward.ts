import {
  type Result,
  referenceBatchNorm,
  referenceConv2d,
  referenceDense,
  referenceLrn,
  referencePool,
  referenceRelu,
  referenceSoftmax,
  type Volume,
} from '@vgg/core/reference';
import type { Network } from '../src/network/plan.js';

type Weights = ReadonlyMap<string, { shape: readonly number[]; values: Float32Array | Float64Array }>;

/** Every layer's output by the float64 definition; `x` is [N, H, W, C]. In training, batch normalisation goes by the statistics of `x`. */
export function referenceForward(
  network: Pick<Network, 'layers'>,
  weights: Weights,
  x: Volume,
  { training = false } = {},
): Map<string, Result> {
  const found = new Map<string, Result>();
  const values = (name: string) => weights.get(name)!.values;
  const filter = (name: string) => ({ data: values(name), shape: weights.get(name)!.shape });
  let current: Volume = x;
  for (const layer of network.layers) {
    const { name } = layer;
    const step = (): Result => {
      switch (layer.kind) {
        case 'conv': {
          const data = values(`${name}.weight`);
          return referenceConv2d(current, { data, shape: [layer.kernel, layer.kernel, layer.in, layer.out] }, values(`${name}.bias`), {
            padding: layer.padding,
          });
        }
        case 'dense':
          return referenceDense(current, filter(`${name}.weight`), values(`${name}.bias`));
        case 'batchnorm': {
          const [scale, offset] = ['scale', 'offset'].map((part) => values(`${name}.${part}`));
          const { mean, variance } = training
            ? statistics(current)
            : { mean: values(`${name}.mean`), variance: values(`${name}.variance`) };
          return referenceBatchNorm(current, { scale, offset, mean, variance, epsilon: layer.epsilon });
        }
        case 'lrn':
          return referenceLrn(current, layer);
        case 'relu':
          return referenceRelu(current);
        case 'pool':
          return referencePool(current, layer);
        case 'flatten':
          return { data: Float64Array.from(current.data), shape: [current.shape[0], current.data.length / current.shape[0]] };
        case 'mean':
          return meanOverCells(current);
        case 'softmax':
          return referenceSoftmax(current);
        case 'dropout':
          return { data: Float64Array.from(current.data), shape: [...current.shape] };
      }
    };
    const result = step();
    found.set(name, result);
    current = result;
  }
  return found;
}

function meanOverCells({ data, shape: [batch, height, width, channels] }: Volume): Result {
  const sums = new Float64Array(batch * channels);
  const cells = height * width;
  for (let i = 0; i < data.length; i++) sums[Math.floor(i / (cells * channels)) * channels + (i % channels)] += data[i] / cells;
  return { data: sums, shape: [batch, channels] };
}

/** Of each channel. */
function statistics({ data, shape }: Volume): { mean: Float64Array; variance: Float64Array } {
  const channels = shape.at(-1)!;
  const [mean, variance] = [new Float64Array(channels), new Float64Array(channels)];
  const count = data.length / channels;
  for (let i = 0; i < data.length; i++) mean[i % channels] += data[i] / count;
  for (let i = 0; i < data.length; i++) variance[i % channels] += (data[i] - mean[i % channels]) ** 2 / count;
  return { mean, variance };
}
