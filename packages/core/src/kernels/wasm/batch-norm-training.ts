import type { TensorInfo } from '@tensorflow/tfjs-core';
import { itemSize, type LayerRunner } from './layer-runner.js';
import type { KernelArguments } from './override.js';
import { aligned } from './workspace.js';

/** The description of a layer, the first line of the memory it works in. */
const JOB_BYTES = 64;
/** Sums are made of parts of about so many bytes, so that they follow from the shape alone. */
const PART_BYTES = 65536;
const MOST_PARTS = 256;

interface Attributes {
  epsilon: number;
  relu: boolean;
}

interface Sizes {
  channels: number;
  pixels: number;
  parts: number;
  pixelsPerPart: number;
}

function sizesOf(x: TensorInfo): Sizes {
  const channels = x.shape[x.shape.length - 1];
  const pixels = x.shape.reduce((product, size) => product * size, 1) / channels;
  const wanted = Math.min(MOST_PARTS, Math.ceil((pixels * channels * 4) / PART_BYTES));
  const pixelsPerPart = Math.ceil(pixels / wanted);
  return { channels, pixels, pixelsPerPart, parts: Math.ceil(pixels / pixelsPerPart) };
}

/** `x`, `scale`, `offset` to the normalised maps, the mean and the biased variance. */
export function batchNormTraining(runner: LayerRunner, { inputs, attrs }: KernelArguments): TensorInfo[] {
  const { x, scale, offset } = inputs as Record<'x' | 'scale' | 'offset', TensorInfo>;
  const { epsilon, relu } = attrs as unknown as Attributes;
  const { workspace, kernels } = runner;
  const { channels, pixels, parts, pixelsPerPart } = sizesOf(x);
  const at = (tensor: TensorInfo) => workspace.pointer(tensor);
  const job = workspace.scratch(JOB_BYTES + aligned(4 * channels) + parts * channels * 16);
  const [y, mean, variance] = workspace.makeOutputs('batchNorm', [x.shape, [channels], [channels]]);
  const factors = job + JOB_BYTES;
  const sums = factors + aligned(4 * channels);
  const threads = runner.threadsFor({ bytes: 8 * pixels * channels });
  workspace.write(job, [at(x), 0, 0, 0, 0, 0, 0, 0, sums, channels, pixels, pixelsPerPart]);
  runner.run('batchSumsItem', { job, work: 0, stride: 0, items: parts, threads });
  kernels.writeStatistics(sums, parts, channels, pixels, at(mean), at(variance));
  kernels.writeFactors(at(variance), at(scale), factors, channels, epsilon);
  const pixelsPerItem = itemSize(pixels, threads);
  const words = [at(x), at(y), at(mean), factors, at(offset), channels, pixels, pixelsPerItem];
  workspace.write(job, words);
  workspace.floats(job + words.length * 4, 1)[0] = relu ? 0 : Number.NEGATIVE_INFINITY;
  runner.run('scalePixelsItem', { job, work: 0, stride: 0, items: Math.ceil(pixels / pixelsPerItem), threads });
  return [y, mean, variance];
}

type GradientInputs = Record<'x' | 'dy' | 'mean' | 'variance' | 'scale' | 'offset', TensorInfo>;

/** The gradients of scale and offset; `offset` is needed behind a ReLU alone. */
export function batchNormParameterGradients(runner: LayerRunner, { inputs, attrs }: KernelArguments): TensorInfo[] {
  const { x, dy, mean, variance, scale, offset } = inputs as GradientInputs;
  const { epsilon, relu } = attrs as unknown as Attributes;
  const { workspace, kernels } = runner;
  const { channels, pixels, parts, pixelsPerPart } = sizesOf(x);
  const at = (tensor: TensorInfo) => workspace.pointer(tensor);
  const job = workspace.scratch(JOB_BYTES + aligned(4 * channels) + parts * channels * 16);
  const [scales, offsets] = workspace.makeOutputs('batchNorm', [[channels], [channels]]);
  const factors = job + JOB_BYTES;
  const sums = factors + aligned(4 * channels);
  const threads = runner.threadsFor({ bytes: 8 * pixels * channels });
  kernels.writeFactors(at(variance), at(scale), factors, channels, epsilon);
  workspace.write(job, [at(x), at(dy), 0, at(mean), factors, relu ? at(offset) : 0, 0, 0, sums, channels, pixels, pixelsPerPart]);
  runner.run('batchSumsItem', { job, work: 0, stride: 0, items: parts, threads });
  kernels.writeParameterGradients(sums, parts, channels, at(variance), epsilon, at(scales), at(offsets));
  return [scales, offsets];
}

/** The gradient of the input, from those of scale and offset. */
export function batchNormInputGradient(runner: LayerRunner, { inputs, attrs }: KernelArguments): TensorInfo {
  const { x, dy, mean, variance, scale, offset, scaleGradient, offsetGradient } = inputs as GradientInputs &
    Record<'scaleGradient' | 'offsetGradient', TensorInfo>;
  const { epsilon, relu } = attrs as unknown as Attributes;
  const { workspace, kernels } = runner;
  const { channels, pixels } = sizesOf(x);
  const at = (tensor: TensorInfo) => workspace.pointer(tensor);
  const row = aligned(4 * channels);
  const job = workspace.scratch(JOB_BYTES + 3 * row);
  const dx = workspace.makeOutput('batchNorm', x.shape);
  const [factors, slopes, levels] = [0, 1, 2].map((i) => job + JOB_BYTES + i * row);
  kernels.writeFactors(at(variance), at(scale), factors, channels, epsilon);
  kernels.writeCoefficients(factors, at(variance), at(scaleGradient), at(offsetGradient), channels, pixels, epsilon, slopes, levels);
  const threads = runner.threadsFor({ bytes: 12 * pixels * channels });
  const pixelsPerItem = itemSize(pixels, threads);
  const gate = relu ? at(offset) : 0;
  workspace.write(job, [at(x), at(dy), at(dx), at(mean), factors, gate, slopes, levels, 0, channels, pixels, pixelsPerItem]);
  runner.run('batchGradientItem', { job, work: 0, stride: 0, items: Math.ceil(pixels / pixelsPerItem), threads });
  return dx;
}
