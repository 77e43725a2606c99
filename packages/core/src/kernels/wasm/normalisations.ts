import type { TensorInfo } from '@tensorflow/tfjs-core';
import { itemSize, type LayerRunner } from './layer-runner.js';
import type { KernelArguments } from './override.js';
import { aligned } from './workspace.js';

/** The description of a layer, the first line of the memory it works in. */
const JOB_BYTES = 64;

/** The two kernels of a local response normalisation: what of it they read and write beside `x`, and their private memory. */
const RESPONSES = {
  LRN: { inputs: ['x'], item: 'responsePixelsItem', memory: 'responseBytes' },
  LRNGrad: { inputs: ['x', 'dy'], item: 'responseGradientItem', memory: 'responseGradientBytes' },
} as const;

/** tfjs's `LRN` or `LRNGrad`, with an exponent of 1/2, 3/4 or 1; undefined where it is not ours. */
export function localResponse(
  runner: LayerRunner,
  name: keyof typeof RESPONSES,
  { inputs, attrs, backend }: KernelArguments,
): TensorInfo | undefined {
  const { workspace, kernels } = runner;
  const { item, memory, ...own } = RESPONSES[name];
  const read = own.inputs.map((each) => inputs[each] as TensorInfo);
  const { shape } = read[0];
  const { depthRadius, bias, alpha, beta } = attrs as unknown as Record<'depthRadius' | 'bias' | 'alpha' | 'beta', number>;
  if (backend !== workspace.runtime.backend || shape.length !== 4 || read.some(({ dtype }) => dtype !== 'float32')) return undefined;
  if (![2, 3, 4].includes(beta * 4) || !Number.isInteger(depthRadius) || depthRadius < 0 || shape.some((size) => size < 1))
    return undefined;
  const channels = shape[3];
  // A wider window has no more channels.
  const radius = Math.min(depthRadius, channels);
  const pixels = shape[0] * shape[1] * shape[2];
  const threads = runner.threadsFor({ bytes: 4 * (read.length + 1) * pixels * channels });
  const pixelsPerItem = itemSize(pixels, threads);
  const stride = aligned(kernels[memory](channels, radius));
  const job = workspace.scratch(JOB_BYTES + threads * stride);
  const output = workspace.makeOutput('lrn', shape);
  const tensors = [...read, output].map((tensor) => workspace.pointer(tensor));
  const words = [...tensors, channels, radius, beta * 4, pixels, pixelsPerItem];
  workspace.write(job, words);
  workspace.floats(job + words.length * 4, 2).set([bias, alpha]);
  runner.run(item, { job, work: job + JOB_BYTES, stride, items: Math.ceil(pixels / pixelsPerItem), threads });
  return output;
}

/** tfjs's `FusedBatchNorm` over the last axis; undefined where it is not ours. */
export function batchNormalisation(runner: LayerRunner, { inputs, attrs, backend }: KernelArguments): TensorInfo | undefined {
  const { workspace, kernels } = runner;
  const { x, mean, variance, offset, scale } = inputs as unknown as Record<'x' | 'mean' | 'variance', TensorInfo> &
    Record<'offset' | 'scale', TensorInfo | undefined>;
  if (backend !== workspace.runtime.backend || x.dtype !== 'float32' || x.shape.length < 1 || x.shape.some((size) => size < 1))
    return undefined;
  const channels = x.shape[x.shape.length - 1];
  for (const each of [mean, variance, offset, scale]) {
    if (each && (each.dtype !== 'float32' || each.shape.length !== 1 || each.shape[0] !== channels)) return undefined;
  }
  const pixels = x.shape.reduce((product, size) => product * size, 1) / channels;
  const threads = runner.threadsFor({ bytes: 8 * pixels * channels });
  const pixelsPerItem = itemSize(pixels, threads);
  const job = workspace.scratch(JOB_BYTES + channels * 4);
  const factors = job + JOB_BYTES;
  const output = workspace.makeOutput('batchNorm', x.shape);
  const at = (tensor: TensorInfo | undefined) => (tensor ? workspace.pointer(tensor) : 0);
  const { varianceEpsilon } = attrs as unknown as { varianceEpsilon: number };
  kernels.writeFactors(at(variance), at(scale), factors, channels, varianceEpsilon);
  const words = [at(x), at(output), at(mean), factors, at(offset), channels, pixels, pixelsPerItem];
  workspace.write(job, words);
  workspace.floats(job + words.length * 4, 1)[0] = Number.NEGATIVE_INFINITY;
  runner.run('scalePixelsItem', { job, work: 0, stride: 0, items: Math.ceil(pixels / pixelsPerItem), threads });
  return output;
}
