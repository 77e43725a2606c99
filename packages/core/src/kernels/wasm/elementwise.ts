import type { TensorInfo } from '@tensorflow/tfjs-core';
import { keptLimit, maskKeys } from '../dropout-mask.js';
import { itemSize, type LayerRunner } from './layer-runner.js';
import type { KernelArguments } from './override.js';

const JOB_BYTES = 64;

function countOf({ shape }: TensorInfo): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** `dy` where `y` is above 0, else 0. */
export function reluGradient(runner: LayerRunner, { inputs }: KernelArguments): TensorInfo | undefined {
  const { y, dy } = inputs as Record<'y' | 'dy', TensorInfo | undefined>;
  if (y?.dtype !== 'float32' || dy?.dtype !== 'float32' || String(y.shape) !== String(dy.shape)) return undefined;
  const { workspace } = runner;
  const count = countOf(y);
  const threads = runner.threadsFor({ bytes: 12 * count });
  const perItem = Math.max(4, itemSize(count, threads, 4));
  const job = workspace.scratch(JOB_BYTES);
  const output = workspace.makeOutput('relu', y.shape);
  workspace.write(job, [...[y, dy, output].map((tensor) => workspace.pointer(tensor)), count, perItem]);
  runner.run('passPositiveItem', { job, work: 0, stride: 0, items: Math.ceil(count / perItem), threads });
  return output;
}

/** `x / keep` where the mask of `key` keeps it, else 0. */
export function dropout(runner: LayerRunner, { inputs, attrs }: KernelArguments): TensorInfo {
  const { x } = inputs as { x: TensorInfo };
  const { keep, key } = attrs as unknown as { keep: number; key: number[] };
  const { workspace } = runner;
  const count = countOf(x);
  const threads = runner.threadsFor({ bytes: 8 * count });
  const perItem = Math.max(4, itemSize(count, threads, 4));
  const job = workspace.scratch(JOB_BYTES);
  const output = workspace.makeOutput('dropout', x.shape);
  const words = [workspace.pointer(x), workspace.pointer(output), ...maskKeys(key), keptLimit(keep), count, perItem];
  workspace.write(job, words);
  workspace.floats(job + words.length * 4, 1)[0] = 1 / keep;
  runner.run('dropValuesItem', { job, work: 0, stride: 0, items: Math.ceil(count / perItem), threads });
  return output;
}
