import { backend_util, type Conv2DAttrs, type DataId, type FusedConv2DAttrs, type TensorInfo } from '@tensorflow/tfjs-core';
import { type FilterForm, filterBytes, filterForm, hasTiles, type MemoryMode, POINTS, TWOS_POINTS } from './conv3x3-memory.js';
import type { Conv3x3Exports, ItemKernelName } from './conv3x3-module.js';
import { BLOCK_PANELS, cutSide, divide, divideTwos, divideWindows, worthSharing } from './conv3x3-plan.js';
import type { WasmRuntime } from './runtime.js';
import type { PoolKernel, Task, ThreadPool } from './threads/pool.js';
import { aligned, LINE, Workspace } from './workspace.js';

/** What tfjs hands to a convolution kernel. */
export interface ConvArguments {
  inputs: { x: TensorInfo; filter: TensorInfo; bias?: TensorInfo; preluActivationWeights?: TensorInfo };
  attrs: Conv2DAttrs & Partial<Pick<FusedConv2DAttrs, 'activation'>>;
  backend: unknown;
}
/** The sizes of a convolution; zeros lie above and left of the input. */
export type ConvInfo = Pick<
  backend_util.Conv2DInfo,
  'batchSize' | 'inHeight' | 'inWidth' | 'inChannels' | 'outHeight' | 'outWidth' | 'outChannels' | 'outShape'
> & { padInfo: { top: number; left: number } };
/** A convolution that is ours. */
export interface ConvCall {
  x: TensorInfo;
  filter: TensorInfo;
  bias: TensorInfo | undefined;
  relu: boolean;
  /** A max pool of 2 x 2 and stride 2 is computed with it. */
  pool?: boolean;
  info: ConvInfo;
  /** The filter is `[3, 3, outChannels, inChannels]`, and is read turned by 180 degrees: the gradient of an input is such a convolution. */
  flipped?: boolean;
  /** As the input, which counts as 0 where this is not positive. */
  mask?: TensorInfo;
}
/** How threads work on one convolution. */
interface Job {
  /** Bytes that all of them use, and those that each has for itself. */
  sharedBytes: number;
  stride: number;
  run(task: Omit<Task, 'items'>): void;
}
/** What is kept of a filter. */
interface Block {
  readonly pointer: number;
  readonly bytes: number;
  /** The filter has changed since. */
  isStale: boolean;
}

/** The fields of assembly/layer.ts, in its order. */
export const LAYER_FIELDS = [
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
  'wide',
  'pool',
  'flipped',
  'mask',
] as const;
export type LayerFields = Record<(typeof LAYER_FIELDS)[number], number>;
/** Those of the class Filter in assembly/jobs.ts. */
const FILTER_FIELDS = ['input', 'output', 'inChannels', 'outChannels', 'points', 'blockPanels', 'flipped'] as const;
export const CONSTANTS_BYTES = 64;
/** Private memory of a thread that transforms a filter. */
export const FILTER_WORK_BYTES = 9856;
/** What the threads of one convolution may take together for themselves; one thread always has what it needs. */
const MOST_PRIVATE_BYTES = 256 * 2 ** 20;
/** Holes that are looked at for a place behind them. */
const MOST_HOLES = 64;

/** The memory of the kernels on one heap, and how they are called. */
export class Conv3x3Engine {
  private readonly workspace: Workspace;
  filterBytes = 0;
  /** Where outputs have ended at most since filters were last freed: what a model leaves behind is for the next one. */
  private end = 0;
  /** What the next convolutions take for their filters. */
  mode: MemoryMode = 'fast';
  private disposed = false;
  /** Transformed filters by the filter's data, then by form and shape: tensors of one data can have several. */
  private readonly filters = new Map<DataId, Map<string, Block>>();
  /** The constants, then the layer, then the filter that is being transformed. */
  private readonly head: number;
  private readonly headBlock: number;

  constructor(
    private readonly runtime: WasmRuntime,
    private readonly kernels: Conv3x3Exports,
    private readonly pool: ThreadPool,
    private readonly items: Record<ItemKernelName, PoolKernel>,
    /** Two panels at once, for engines that join vectors. */
    private readonly wide = false,
  ) {
    this.workspace = new Workspace(runtime);
    this.headBlock = runtime.malloc(CONSTANTS_BYTES + (LAYER_FIELDS.length + FILTER_FIELDS.length) * 4 + LINE);
    this.head = aligned(this.headBlock);
    kernels.writeConstants(this.head);
  }

  /** Whether it computes for this backend. */
  serves(backend: unknown): boolean {
    return !this.disposed && backend === this.runtime.backend;
  }

  /** The convolution if it is one of ours, with the pool behind it if it computes with tiles. */
  accept({ inputs, attrs, backend }: ConvArguments, pool = false): ConvCall | undefined {
    const { x, filter, bias, preluActivationWeights } = inputs;
    const activation = attrs.activation ?? 'linear';
    if (!this.serves(backend) || preluActivationWeights || (activation !== 'linear' && activation !== 'relu')) return undefined;
    if (filter.shape[0] !== 3 || filter.shape[1] !== 3 || x.shape.length !== 4 || x.shape[3] !== filter.shape[2]) return undefined;
    if (x.dtype !== 'float32' || filter.dtype !== 'float32' || attrs.dataFormat === 'NCHW') return undefined;
    const { strides, dilations, pad, dimRoundingMode } = attrs;
    const shape = x.shape as [number, number, number, number];
    const info = backend_util.computeConv2DInfo(shape, filter.shape as typeof shape, strides, dilations, pad, dimRoundingMode);
    if (info.strideHeight !== 1 || info.strideWidth !== 1 || info.dilationHeight !== 1 || info.dilationWidth !== 1) return undefined;
    if (info.outShape.some((size) => size < 1)) return undefined;
    if (bias && (bias.dtype !== 'float32' || bias.shape.length !== 1 || bias.shape[0] !== info.outChannels)) return undefined;
    if (pool && (!hasTiles(this.formOf(info)) || info.outHeight < 2 || info.outWidth < 2)) return undefined;
    return { x, filter, bias, relu: activation === 'relu', pool, info };
  }

  /**
   * Computes it into a new tensor.
   * @throws VggError `VGG_MEMORY` when the heap is full; what the call had taken is free again
   */
  run({ x, filter, bias, relu, pool = false, info, flipped = false, mask }: ConvCall): TensorInfo {
    const { backend } = this.runtime;
    const form = this.formOf(info);
    const rows = cutSide(info.outHeight, form === 'fours');
    const columns = cutSide(info.outWidth, form === 'fours');
    const panels = Math.ceil(info.outChannels / 8);
    const outputs = info.batchSize * info.outHeight * info.outWidth * info.outChannels;
    let threads = worthSharing(outputs, info.inChannels) ? this.pool.threads : 1;
    const fields: LayerFields = {
      input: backend.getMemoryOffset(x.dataId),
      output: 0,
      filter: 0,
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
      points: form === 'fours' ? POINTS.fours : POINTS.sixes,
      panels,
      blockPanels: BLOCK_PANELS,
      rowsPerItem: 0,
      tilesPerItem: 0,
      panelsPerItem: 0,
      stripFrom: 0,
      stripTo: 0,
      strip: 0,
      wide: this.wide ? 1 : 0,
      pool: pool ? 1 : 0,
      flipped: flipped ? 1 : 0,
      mask: mask ? backend.getMemoryOffset(mask.dataId) : 0,
    };
    const layer = this.head + CONSTANTS_BYTES;
    this.describe(layer, fields, LAYER_FIELDS);

    const plan = () => {
      if (form === 'panels') return this.rowJob(layer, fields, threads);
      if (form === 'twos') return this.mapJob(layer, fields, threads);
      return form === 'none' ? this.windowJob(fields, threads) : this.tileJob(layer, fields, threads);
    };
    let job = plan();
    // Strips of very wide pictures are large.
    while (threads > 1 && threads * job.stride > MOST_PRIVATE_BYTES) {
      threads--;
      job = plan();
    }
    const biasBytes = aligned(panels * 32);
    const kept = this.filterBytes;
    // The output first: the scratch, which goes again, then lies behind it and leaves no hole.
    const output = this.makeOutput(pool ? pooledShape(info) : info.outShape);
    try {
      fields.output = backend.getMemoryOffset(output.dataId);
      fields.filter = this.filterOf(filter, info, form, flipped);
      this.withScratch(biasBytes + job.sharedBytes + threads * job.stride, (scratch) => {
        fields.bias = scratch;
        fields.strip = scratch + biasBytes;
        this.describe(layer, fields, LAYER_FIELDS);
        this.writeBias(scratch, panels * 8, bias);
        job.run({ job: layer, work: fields.strip + job.sharedBytes, stride: job.stride, threads });
      });
      return output;
    } catch (error) {
      backend.disposeData(output.dataId, true);
      if (kept < this.filterBytes) this.forget(filter.dataId);
      throw error;
    }
  }

  private formOf(info: ConvInfo): FilterForm {
    const { inHeight, inWidth, outHeight, outWidth, padInfo } = info;
    const same = inHeight === outHeight && inWidth === outWidth && padInfo.top === 1 && padInfo.left === 1;
    return filterForm(this.mode, { ...info, same });
  }

  private writeBias(at: number, length: number, bias: TensorInfo | undefined): void {
    const { backend, memory } = this.runtime;
    const padded = new Float32Array(memory.buffer, at, length).fill(0);
    if (bias) padded.set(new Float32Array(memory.buffer, backend.getMemoryOffset(bias.dataId) >>> 0, bias.shape[0]));
  }

  /** The product on the panels of a filter of few channels: a few output rows an item. */
  private rowJob(layer: number, fields: LayerFields, threads: number): Job {
    const rows = fields.batch * fields.outHeight;
    fields.rowsPerItem = threads === 1 ? rows : Math.ceil(rows / (6 * threads));
    const items = Math.ceil(rows / fields.rowsPerItem);
    return {
      sharedBytes: 0,
      stride: aligned(this.kernels.rowBytes(layer) >>> 0),
      run: (task) => this.pool.run(this.items.convolveRowsItem, { ...task, items }),
    };
  }

  /** The product on the filter as it lies. */
  private windowJob(fields: LayerFields, threads: number): Job {
    const pixels = fields.batch * fields.outHeight * fields.outWidth;
    const { pixelsPerItem, panelsPerItem } = divideWindows(pixels, fields.panels, threads);
    fields.rowsPerItem = pixelsPerItem;
    fields.panelsPerItem = panelsPerItem;
    const items = Math.ceil(pixels / pixelsPerItem) * Math.ceil(fields.panels / panelsPerItem);
    return {
      sharedBytes: 0,
      stride: aligned(this.kernels.windowBytes() >>> 0),
      run: (task) => this.pool.run(this.items.convolveWindowsItem, { ...task, items }),
    };
  }

  /** Maps of 2 x 2: strips of images, of which first the input is transformed. */
  private mapJob(layer: number, fields: LayerFields, threads: number): Job {
    const { kernels, pool, items } = this;
    const { batch, panels } = fields;
    const { images, imagesPerItem, panelsPerItem } = divideTwos(batch, panels, threads);
    fields.tilesPerItem = imagesPerItem;
    fields.panelsPerItem = panelsPerItem;
    this.describe(layer, fields, LAYER_FIELDS);
    return {
      sharedBytes: aligned(kernels.twosInputBytes(layer, images) >>> 0),
      stride: aligned(kernels.twosBytes(layer, images) >>> 0),
      run: (task) => {
        for (let from = 0; from < batch; from += images) {
          fields.stripFrom = from;
          fields.stripTo = Math.min(from + images, batch);
          this.describe(layer, fields, LAYER_FIELDS);
          pool.run(items.transformTwosItem, { ...task, items: Math.ceil((fields.stripTo - from) / imagesPerItem) });
          pool.run(items.multiplyTwosItem, { ...task, items: Math.ceil(panels / panelsPerItem) });
        }
      },
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

  /** Marks what was made of a filter that has changed in place: its memory serves again. What no call has used since the change before goes. */
  changed(dataId: DataId): void {
    const kept = this.filters.get(dataId);
    if (!kept) return;
    for (const [key, block] of kept) {
      if (block.isStale) {
        kept.delete(key);
        this.release(block);
      }
      block.isStale = true;
    }
  }

  /** Frees what was made of a filter. */
  forget(dataId: DataId): void {
    for (const block of this.filters.get(dataId)?.values() ?? []) this.release(block);
    this.filters.delete(dataId);
  }

  private release({ pointer, bytes }: Block): void {
    this.runtime.free(pointer);
    this.filterBytes -= bytes;
    this.end = 0;
  }

  dispose(): void {
    this.disposed = true;
    for (const dataId of [...this.filters.keys()]) this.forget(dataId);
    this.runtime.free(this.headBlock);
  }

  private makeOutput(shape: readonly number[]): TensorInfo {
    const output = this.workspace.makeOutput('conv3x3', [...shape]);
    const bytes = shape.reduce((product, size) => product * size, 4);
    this.end = Math.max(this.end, this.workspace.pointer(output) + bytes);
    return output;
  }

  private filterOf(filter: TensorInfo, { inChannels, outChannels }: ConvInfo, form: FilterForm, flipped: boolean): number {
    const source = this.runtime.backend.getMemoryOffset(filter.dataId);
    if (form === 'none') return source;
    const kept = this.filters.get(filter.dataId);
    const key = `${form} ${inChannels}x${outChannels}${flipped ? ' flipped' : ''}`;
    const known = kept?.get(key);
    if (known && !known.isStale) return aligned(known.pointer);
    const bytes = filterBytes(form, inChannels, outChannels) + LINE;
    const block = known ?? { pointer: this.lasting(bytes), bytes, isStale: true };
    try {
      const target = aligned(block.pointer);
      const turn = flipped ? 1 : 0;
      const sizes = { input: source, output: target, inChannels, outChannels, flipped: turn };
      if (form === 'panels') this.kernels.packFilter(source, target, inChannels, outChannels, turn);
      else this.transform({ ...sizes, points: form === 'twos' ? TWOS_POINTS : POINTS[form], blockPanels: BLOCK_PANELS });
      block.isStale = false;
      if (known) return target;
      this.filterBytes += bytes;
      if (kept) kept.set(key, block);
      else this.filters.set(filter.dataId, new Map([[key, block]]));
      return target;
    } catch (error) {
      if (!known) this.runtime.free(block.pointer);
      throw error;
    }
  }

  private transform(fields: Record<(typeof FILTER_FIELDS)[number], number>): void {
    const { pool, items } = this;
    const { threads } = pool;
    const job = this.head + CONSTANTS_BYTES + LAYER_FIELDS.length * 4;
    this.describe(job, fields, FILTER_FIELDS);
    this.withScratch(threads * FILTER_WORK_BYTES, (work) =>
      pool.run(items.transformFilterItem, { job, work, stride: FILTER_WORK_BYTES, items: Math.ceil(fields.outChannels / 8), threads }),
    );
  }

  /**
   * Bytes that stay, behind the outputs where there is room. In a hole that an output has left they would send the next ones to the end
   * of the heap, pass after pass, until it is a tenth larger than what lies in it.
   */
  private lasting(bytes: number): number {
    const holes: number[] = [];
    try {
      while (true) {
        const pointer = this.runtime.malloc(bytes);
        if (pointer >= this.end || holes.length === MOST_HOLES) return pointer;
        holes.push(pointer);
      }
    } catch (error) {
      const hole = holes.pop();
      if (hole === undefined) throw error;
      return hole;
    } finally {
      holes.forEach(this.runtime.free);
    }
  }

  /** So many bytes for the time of a call. */
  private withScratch(bytes: number, use: (pointer: number) => void): void {
    const pointer = this.runtime.malloc(bytes + LINE);
    try {
      use(aligned(pointer));
    } finally {
      this.runtime.free(pointer);
    }
  }
}

function pooledShape({ batchSize, outHeight, outWidth, outChannels }: ConvInfo): number[] {
  return [batchSize, outHeight >> 1, outWidth >> 1, outChannels];
}
