import type { TensorInfo } from '@tensorflow/tfjs-core';
import { poolGeometry } from '../max-pool-gradient.js';
import { itemSize, type LayerRunner } from './layer-runner.js';
import type { KernelArguments } from './override.js';

/**
 * tfjs's `MaxPoolGrad`, whose first maximum wins, and `AvgPoolGrad`, which divides by the whole window even where part of it lies outside;
 * undefined where it is not ours.
 */
export function poolGradient(
  runner: LayerRunner,
  kind: 'maximum' | 'mean',
  { inputs, attrs, backend }: KernelArguments,
): TensorInfo | undefined {
  const { input, dy } = inputs as { input: TensorInfo; dy: TensorInfo };
  const { workspace } = runner;
  if (backend !== workspace.runtime.backend || input.shape.length !== 4 || [input, dy].some(({ dtype }) => dtype !== 'float32'))
    return undefined;
  const g = poolGeometry(input, attrs);
  if ([...input.shape, ...dy.shape].some((size) => size < 1)) return undefined;
  // Every window has a cell on the map.
  if (g.top >= g.sizeY || (g.outHeight - 1) * g.strideY - g.top >= g.height) return undefined;
  if (g.left >= g.sizeX || (g.outWidth - 1) * g.strideX - g.left >= g.width) return undefined;

  const rows = g.batch * g.height;
  const threads = runner.threadsFor({ bytes: 8 * rows * g.width * g.channels + 4 * g.batch * g.outHeight * g.outWidth * g.channels });
  const rowsPerItem = itemSize(rows, threads, g.strideY);
  const job = workspace.scratch(64);
  const output = workspace.makeOutput('pool', input.shape);
  workspace.write(job, [
    workspace.pointer(input),
    workspace.pointer(dy),
    workspace.pointer(output),
    g.height,
    g.width,
    g.channels,
    g.outHeight,
    g.outWidth,
    g.sizeY,
    g.sizeX,
    g.strideY,
    g.strideX,
    g.top,
    g.left,
    rows,
    rowsPerItem,
  ]);
  const item = kind === 'maximum' ? 'maximumGradientItem' : 'meanGradientItem';
  runner.run(item, { job, work: 0, stride: 0, items: Math.ceil(rows / rowsPerItem), threads });
  return output;
}
