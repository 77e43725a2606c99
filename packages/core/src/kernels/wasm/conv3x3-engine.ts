import { backend_util, type Conv2DAttrs, type DataId, type FusedConv2DAttrs, type TensorInfo } from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import type { Conv3x3Exports, ItemKernelName } from './conv3x3-module.js';
import { BLOCK_PANELS, cutSide, divide, isDirect, worthSharing } from './conv3x3-plan.js';
import type { WasmRuntime } from './runtime.js';
import type { PoolKernel, Task, ThreadPool } from './threads/pool.js';

/** What tfjs hands to a convolution kernel. */
export interface ConvArguments {
  inputs: { x: TensorInfo; filter: TensorInfo; bias?: TensorInfo; preluActivationWeights?: TensorInfo };
  attrs: Conv2DAttrs & Partial<Pick<FusedConv2DAttrs, 'activation'>>;
  backend: unknown;
}
type ConvInfo = backend_util.Conv2DInfo;
/** A convolution that is ours. */
export interface ConvCall {
  x: TensorInfo;
  filter: TensorInfo;
  bias: TensorInfo | undefined;
  relu: boolean;
  info: ConvInfo;
}
/** How threads work on one convolution. */
interface Job {
  /** Bytes that all of them use, and those that each has for itself. */
  sharedBytes: number;
  stride: number;
  run(task: Omit<Task, 'items'>): void;
}
interface Block {
  pointer: number;
  bytes: number;
}

/** The fields of assembly/layer.ts, in its order. */
const LAYER_FIELDS = [
  'input',
  'output',
  'filter',
  'bias',
  'constants',
  'batch',
  'height',
  'width',
  'inChannels',
  'outHeight',
  'outWidth',
  'outChannels',
  'padTop',
  'padLeft',
  'relu',
  'rows6',
  'rows4',
  'columns6',
  'columns4',
  'points',
  'panels',
  'blockPanels',
  'rowsPerItem',
  'tilesPerItem',
  'panelsPerItem',
  'stripFrom',
  'stripTo',
  'strip',
] as const;
type LayerFields = Record<(typeof LAYER_FIELDS)[number], number>;
/** Those of the class Filter in assembly/jobs.ts. */
const FILTER_FIELDS = ['input', 'output', 'inChannels', 'outChannels', 'points', 'blockPanels'] as const;
const CONSTANTS_BYTES = 64;
const FILTER_WORK_BYTES = 896;
/** What the threads of one convolution may take together for themselves; one thread always has what it needs. */
const MOST_PRIVATE_BYTES = 256 * 2 ** 20;
/** Blocks begin at a cache line; the allocator's answer is a multiple of 8. */
const LINE = 64;

/** The memory of the kernels on one heap, and how they are called. */
export class Conv3x3Engine {
  filterBytes = 0;
  private disposed = false;
  /** Transformed filters by the filter's data, then by shape: tensors of one data can have several. */
  private readonly filters = new Map<DataId, Map<string, Block>>();
  private scratch: Block | undefined;
  /** The constants, then the layer, then the filter that is being transformed. */
  private readonly head: number;
  private readonly headBlock: number;
  private readonly points: number;

  constructor(
    private readonly runtime: WasmRuntime,
    private readonly kernels: Conv3x3Exports,
    private readonly pool: ThreadPool,
    private readonly items: Record<ItemKernelName, PoolKernel>,
    /** Tiles of 4 alone. */
    private readonly small: boolean,
  ) {
    this.points = small ? 36 : 64;
    this.headBlock = runtime.malloc(CONSTANTS_BYTES + (LAYER_FIELDS.length + FILTER_FIELDS.length) * 4 + LINE);
    this.head = aligned(this.headBlock);
    kernels.writeConstants(this.head);
  }

  /** The convolution if it is one of ours. */
  accept({ inputs, attrs, backend }: ConvArguments): ConvCall | undefined {
    const { x, filter, bias, preluActivationWeights } = inputs;
    const activation = attrs.activation ?? 'linear';
    if (this.disposed || backend !== this.runtime.backend || preluActivationWeights || (activation !== 'linear' && activation !== 'relu'))
      return undefined;
    if (filter.shape[0] !== 3 || filter.shape[1] !== 3 || x.shape.length !== 4 || x.shape[3] !== filter.shape[2]) return undefined;
    if (x.dtype !== 'float32' || filter.dtype !== 'float32' || attrs.dataFormat === 'NCHW') return undefined;
    const { strides, dilations, pad, dimRoundingMode } = attrs;
    const shape = x.shape as [number, number, number, number];
    const info = backend_util.computeConv2DInfo(shape, filter.shape as typeof shape, strides, dilations, pad, dimRoundingMode);
    if (info.strideHeight !== 1 || info.strideWidth !== 1 || info.dilationHeight !== 1 || info.dilationWidth !== 1) return undefined;
    if (info.outShape.some((size) => size < 1)) return undefined;
    if (bias && (bias.dtype !== 'float32' || bias.shape.length !== 1 || bias.shape[0] !== info.outChannels)) return undefined;
    return { x, filter, bias, relu: activation === 'relu', info };
  }

  /**
   * Computes it into a new tensor.
   * @throws VggError `VGG_MEMORY` when the heap is full; what the call had taken is free again
   */
  run(call: ConvCall): TensorInfo {
    const made = !this.filters.has(call.filter.dataId);
    try {
      return this.convolve(call);
    } catch (error) {
      if (made) this.forget(call.filter.dataId);
      this.freeScratch();
      throw error;
    }
  }

  private convolve({ x, filter, bias, relu, info }: ConvCall): TensorInfo {
    const { backend, memory } = this.runtime;
    const direct = isDirect(info.inChannels);
    const rows = cutSide(info.outHeight, this.small);
    const columns = cutSide(info.outWidth, this.small);
    const panels = Math.ceil(info.outChannels / 8);
    const outputs = info.batchSize * info.outHeight * info.outWidth * info.outChannels;
    let threads = worthSharing(outputs, info.inChannels) ? this.pool.threads : 1;
    const fields: LayerFields = {
      input: backend.getMemoryOffset(x.dataId),
      output: 0,
      filter: this.filterOf(filter, info, direct),
      bias: 0,
      constants: this.head,
      batch: info.batchSize,
      height: info.inHeight,
      width: info.inWidth,
      inChannels: info.inChannels,
      outHeight: info.outHeight,
      outWidth: info.outWidth,
      outChannels: info.outChannels,
      padTop: info.padInfo.top,
      padLeft: info.padInfo.left,
      relu: relu ? 1 : 0,
      rows6: rows.six,
      rows4: rows.four,
      columns6: columns.six,
      columns4: columns.four,
      points: this.points,
      panels,
      blockPanels: BLOCK_PANELS,
      rowsPerItem: 0,
      tilesPerItem: 0,
      panelsPerItem: 0,
      stripFrom: 0,
      stripTo: 0,
      strip: 0,
    };
    const layer = this.head + CONSTANTS_BYTES;
    this.describe(layer, fields, LAYER_FIELDS);

    const plan = () => (direct ? this.directJob(layer, fields, threads) : this.tileJob(layer, fields, threads));
    let job = plan();
    // Strips of very wide pictures are large.
    while (threads > 1 && threads * job.stride > MOST_PRIVATE_BYTES) {
      threads--;
      job = plan();
    }
    const biasBytes = aligned(panels * 32);
    fields.bias = this.scratchOf(biasBytes + job.sharedBytes + threads * job.stride);
    fields.strip = fields.bias + biasBytes;
    const output = this.makeOutput(info);
    fields.output = backend.getMemoryOffset(output.dataId);
    this.describe(layer, fields, LAYER_FIELDS);
    const padded = new Float32Array(memory.buffer, fields.bias, panels * 8).fill(0);
    if (bias) padded.set(new Float32Array(memory.buffer, backend.getMemoryOffset(bias.dataId), info.outChannels));
    job.run({ job: layer, work: fields.strip + job.sharedBytes, stride: job.stride, threads });
    return output;
  }

  /** The product without a transform: a few output rows an item. */
  private directJob(layer: number, fields: LayerFields, threads: number): Job {
    const rows = fields.batch * fields.outHeight;
    fields.rowsPerItem = threads === 1 ? rows : Math.ceil(rows / (6 * threads));
    const items = Math.ceil(rows / fields.rowsPerItem);
    return {
      sharedBytes: 0,
      stride: aligned(this.kernels.rowBytes(layer) >>> 0),
      run: (task) => this.pool.run(this.items.convolveRowsItem, { ...task, items }),
    };
  }

  private tileJob(layer: number, fields: LayerFields, threads: number): Job {
    const { kernels, pool, items } = this;
    const { panels } = fields;
    const rows = fields.batch * (fields.rows6 + fields.rows4);
    const perRow = fields.columns6 + fields.columns4;
    const division = divide(rows, perRow, fields.inChannels, panels, threads);
    fields.rowsPerItem = division.rows;
    if (division.by === 'strips') {
      const strips = Math.ceil(rows / division.rows);
      return {
        sharedBytes: 0,
        stride: aligned(kernels.stripBytes(layer, division.rows) >>> 0),
        run: (task) => pool.run(items.convolveStripItem, { ...task, items: strips }),
      };
    }
    const { tilesPerItem, panelsPerItem } = division;
    fields.tilesPerItem = tilesPerItem;
    fields.panelsPerItem = panelsPerItem;
    const tiles = division.rows * perRow;
    return {
      sharedBytes: aligned(kernels.inputBytes(layer, tiles) >>> 0),
      stride: aligned(kernels.panelBytes(layer, tiles, panelsPerItem) >>> 0),
      run: (task) => {
        for (let from = 0; from < rows; from += division.rows) {
          fields.stripFrom = from;
          fields.stripTo = Math.min(from + division.rows, rows);
          this.describe(layer, fields, LAYER_FIELDS);
          const count = (fields.stripTo - from) * perRow;
          pool.run(items.transformInputItem, { ...task, items: Math.ceil(count / tilesPerItem) });
          pool.run(items.multiplyItem, { ...task, items: Math.ceil(panels / panelsPerItem) });
        }
      },
    };
  }

  private describe<Name extends string>(at: number, fields: Record<Name, number>, names: readonly Name[]): void {
    const words = new Uint32Array(this.runtime.memory.buffer, at, names.length);
    names.forEach((name, i) => {
      words[i] = fields[name];
    });
  }

  /** Frees what was made of a filter. */
  forget(dataId: DataId): void {
    for (const block of this.filters.get(dataId)?.values() ?? []) {
      this.runtime.free(block.pointer);
      this.filterBytes -= block.bytes;
    }
    this.filters.delete(dataId);
  }

  dispose(): void {
    this.disposed = true;
    for (const dataId of [...this.filters.keys()]) this.forget(dataId);
    this.freeScratch();
    this.runtime.free(this.headBlock);
  }

  private freeScratch(): void {
    if (this.scratch) this.runtime.free(this.scratch.pointer);
    this.scratch = undefined;
  }

  /** A new output tensor. The allocator of tfjs answers 0, or a place past the end, when the heap is full. */
  private makeOutput(info: ConvInfo): TensorInfo {
    const { backend, memory } = this.runtime;
    const output = backend.makeOutput(info.outShape, 'float32');
    const pointer = backend.getMemoryOffset(output.dataId);
    const bytes = info.outShape.reduce((product, size) => product * size, 4);
    if (pointer !== 0 && pointer + bytes <= memory.buffer.byteLength) return output;
    backend.disposeData(output.dataId, true);
    throw new VggError(
      'VGG_MEMORY',
      `conv3x3: expected room for an output of ${bytes} bytes and the heap is full; use smaller batches or pictures`,
    );
  }

  private filterOf(filter: TensorInfo, info: ConvInfo, direct: boolean): number {
    const { inChannels, outChannels } = info;
    const shapes = this.filters.get(filter.dataId);
    const key = `${inChannels}x${outChannels}`;
    const known = shapes?.get(key);
    if (known) return aligned(known.pointer);
    const floats = Math.ceil(outChannels / 8) * 8 * (direct ? 9 * inChannels : this.points * Math.ceil(inChannels / 4) * 4);
    // The scratch comes first: when there is no room for it, nothing else is taken.
    const { threads } = this.pool;
    const work = direct ? 0 : this.scratchOf(threads * FILTER_WORK_BYTES);
    const block: Block = { pointer: 0, bytes: floats * 4 + LINE };
    block.pointer = this.runtime.malloc(block.bytes);
    const source = this.runtime.backend.getMemoryOffset(filter.dataId);
    const target = aligned(block.pointer);
    if (direct) this.kernels.packFilter(source, target, inChannels, outChannels);
    else {
      const job = this.head + CONSTANTS_BYTES + LAYER_FIELDS.length * 4;
      const fields = { input: source, output: target, inChannels, outChannels, points: this.points, blockPanels: BLOCK_PANELS };
      this.describe(job, fields, FILTER_FIELDS);
      this.pool.run(this.items.transformFilterItem, { job, work, stride: FILTER_WORK_BYTES, items: Math.ceil(outChannels / 8), threads });
    }
    this.filterBytes += block.bytes;
    if (shapes) shapes.set(key, block);
    else this.filters.set(filter.dataId, new Map([[key, block]]));
    return target;
  }

  /** At least so many bytes that live until the next call; one block, grown as needed. */
  private scratchOf(bytes: number): number {
    if (!this.scratch || this.scratch.bytes < bytes) {
      this.freeScratch();
      this.scratch = { pointer: this.runtime.malloc(bytes + LINE), bytes };
    }
    return aligned(this.scratch.pointer);
  }
}

function aligned(pointer: number): number {
  return Math.ceil(pointer / LINE) * LINE;
}
