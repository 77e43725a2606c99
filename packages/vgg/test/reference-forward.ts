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

type Weights = ReadonlyMap<string, { shape: readonly number[]; values: Float32Array }>;

/** Every layer's output by the float64 definition; `x` is [N, H, W, C]. */
export function referenceForward(network: Pick<Network, 'layers'>, weights: Weights, x: Volume): Map<string, Result> {
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
          const [scale, offset, mean, variance] = ['scale', 'offset', 'mean', 'variance'].map((part) => values(`${name}.${part}`));
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
