import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { LayerRunner } from './layer-runner.js';
import type { KernelArguments } from './override.js';

/** The description of a call, the first line of the memory it works in. */
const JOB_BYTES = 64;
/** Pixels that are summed from zero: a fixed number, so that the sums do not depend on the threads. */
const SUMMED_PIXELS = 512;

interface Masked {
  dy: TensorInfo;
  y: TensorInfo | undefined;
  channels: number;
  pixels: number;
}

/** The sums of `dy` over all but its last axis; it counts as 0 where `y`, if there is one, is not positive. */
export function channelSums(runner: LayerRunner, args: KernelArguments): TensorInfo | undefined {
  const masked = maskedOf(runner, args);
  if (!masked) return undefined;
  const { dy, y, pixels, channels } = masked;
  const { workspace } = runner;
  const threads = runner.threadsFor({ bytes: (y ? 8 : 4) * pixels * channels });
  const items = Math.ceil(pixels / SUMMED_PIXELS);
  const job = workspace.scratch(JOB_BYTES + items * channels * 4);
  const sums = job + JOB_BYTES;
  const output = workspace.makeOutput('sum', [channels]);
  workspace.write(job, [workspace.pointer(dy), y ? workspace.pointer(y) : 0, sums, channels, pixels, SUMMED_PIXELS]);
  runner.run('sumPixelsItem', { job, work: 0, stride: 0, items, threads });
  const parts = workspace.floats(sums, items * channels);
  const totals = new Float64Array(channels);
  for (let item = 0, at = 0; item < items; item++) for (let channel = 0; channel < channels; channel++) totals[channel] += parts[at++];
  workspace.floats(workspace.pointer(output), channels).set(totals);
  return output;
}

function maskedOf(runner: LayerRunner, { inputs, backend }: KernelArguments): Masked | undefined {
  const { dy, y } = inputs as Record<'dy' | 'y', TensorInfo | undefined>;
  if (!dy || backend !== runner.workspace.runtime.backend || dy.dtype !== 'float32' || dy.shape.length < 1) return undefined;
  if (y && (y.dtype !== 'float32' || y.shape.length !== dy.shape.length || y.shape.some((size, i) => size !== dy.shape[i])))
    return undefined;
  if (dy.shape.some((size) => size < 1)) return undefined;
  const channels = dy.shape[dy.shape.length - 1];
  return { dy, y, channels, pixels: dy.shape.reduce((product, size) => product * size, 1) / channels };
}
