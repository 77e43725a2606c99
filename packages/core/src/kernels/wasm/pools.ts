import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import { itemSize, type LayerRunner } from './layer-runner.js';
import type { KernelArguments } from './override.js';

/** The values of `kind` in assembly/pool.ts. */
const KINDS = { max: 0, average: 1, l2: 2 } as const;

interface PoolAttributes {
  filterSize: [number, number] | number;
  strides: [number, number] | number;
  pad: Parameters<typeof backend_util.computePool2DInfo>[4];
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** A pool of tfjs's `MaxPool` and `AvgPool`, or their like for the root of the mean square; undefined where it is not ours. */
export function pool(runner: LayerRunner, kind: keyof typeof KINDS, { inputs, attrs, backend }: KernelArguments): TensorInfo | undefined {
  const { x } = inputs as { x: TensorInfo };
  const { workspace } = runner;
  if (backend !== workspace.runtime.backend || x.dtype !== 'float32' || x.shape.length !== 4) return undefined;
  const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as PoolAttributes;
  const shape = x.shape as [number, number, number, number];
  const info = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
  const { inHeight, inWidth, inChannels, outHeight, outWidth, filterHeight, filterWidth, strideHeight, strideWidth, padInfo } = info;
  if (info.outShape.some((size) => size < 1)) return undefined;
  // Every window has a cell on the map.
  if (padInfo.top >= filterHeight || (outHeight - 1) * strideHeight - padInfo.top >= inHeight) return undefined;
  if (padInfo.left >= filterWidth || (outWidth - 1) * strideWidth - padInfo.left >= inWidth) return undefined;

  const rows = info.batchSize * outHeight;
  const threads = runner.threadsFor({ bytes: (info.batchSize * inHeight * inWidth + rows * outWidth) * inChannels * 4 });
  const rowsPerItem = itemSize(rows, threads);
  const job = workspace.scratch(64);
  const output = workspace.makeOutput('pool', info.outShape);
  workspace.write(job, [
    workspace.pointer(x),
    workspace.pointer(output),
    KINDS[kind],
    inHeight,
    inWidth,
    inChannels,
    outHeight,
    outWidth,
    filterHeight,
    filterWidth,
    strideHeight,
    strideWidth,
    padInfo.top,
    padInfo.left,
    rows,
    rowsPerItem,
  ]);
  runner.run('poolRowsItem', { job, work: 0, stride: 0, items: Math.ceil(rows / rowsPerItem), threads });
  return output;
}
