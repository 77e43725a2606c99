import type { TensorInfo } from '@tensorflow/tfjs-core';
import { itemSize, type LayerRunner } from './layer-runner.js';
import type { KernelArguments } from './override.js';
import { aligned } from './workspace.js';

/** The description of a layer, the first line of the memory it works in. */
const JOB_BYTES = 64;

/** tfjs's `LRNGrad`, with an exponent of 1/2, 3/4 or 1; undefined where it is not ours. */
export function localResponseGradient(runner: LayerRunner, { inputs, attrs, backend }: KernelArguments): TensorInfo | undefined {
  const { workspace, kernels } = runner;
  const { x, dy } = inputs as { x: TensorInfo; dy: TensorInfo };
  const { depthRadius, bias, alpha, beta } = attrs as unknown as Record<'depthRadius' | 'bias' | 'alpha' | 'beta', number>;
  if (backend !== workspace.runtime.backend || x.shape.length !== 4 || [x, dy].some(({ dtype }) => dtype !== 'float32')) return undefined;
  if (![2, 3, 4].includes(beta * 4) || !Number.isInteger(depthRadius) || depthRadius < 0 || x.shape.some((size) => size < 1))
    return undefined;
  const channels = x.shape[3];
  // A wider window has no more channels.
  const radius = Math.min(depthRadius, channels);
  const pixels = x.shape[0] * x.shape[1] * x.shape[2];
  const threads = runner.threadsFor({ bytes: 12 * pixels * channels });
  const pixelsPerItem = itemSize(pixels, threads);
  const stride = aligned(kernels.responseGradientBytes(channels, radius));
  const job = workspace.scratch(JOB_BYTES + threads * stride);
  const output = workspace.makeOutput('lrn', x.shape);
  const tensors = [x, dy, output].map((tensor) => workspace.pointer(tensor));
  const words = [...tensors, channels, radius, beta * 4, pixels, pixelsPerItem];
  workspace.write(job, words);
  workspace.floats(job + words.length * 4, 2).set([bias, alpha]);
  runner.run('responseGradientItem', { job, work: job + JOB_BYTES, stride, items: Math.ceil(pixels / pixelsPerItem), threads });
  return output;
}
