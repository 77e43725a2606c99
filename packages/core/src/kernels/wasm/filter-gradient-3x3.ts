import type { backend_util, TensorInfo } from '@tensorflow/tfjs-core';
import { CONSTANTS_BYTES, LAYER_FIELDS, type LayerFields } from './conv3x3-engine.js';
import { POINTS } from './conv3x3-memory.js';
import type { Conv3x3Exports, ItemKernelName } from './conv3x3-module.js';
import { BLOCK_PANELS, cutSide, divideFilterGradient, divideTwos, type SlottedStrips, worthSharing } from './conv3x3-plan.js';
import type { WasmRuntime } from './runtime.js';
import type { PoolKernel, Task, ThreadPool } from './threads/pool.js';
import { aligned, Workspace } from './workspace.js';

/** The gradient of a 3x3 filter that is ours. */
export interface FilterGradientCall {
  x: TensorInfo;
  dy: TensorInfo;
  /** As `dy`, which counts as 0 where this is not positive. */
  mask: TensorInfo | undefined;
  /** Whether the sums of `dy` over all places are wanted too. */
  sums: boolean;
  info: backend_util.Conv2DInfo;
}

/** The fields of `FilterGradient` in assembly/filter-gradient.ts: those of a layer, then its own. */
const FIELDS = [...LAYER_FIELDS, 'gradient', 'gradientMask', 'transformed', 'target', 'sums', 'adds'] as const;
type Fields = LayerFields & Record<(typeof FIELDS)[number], number>;
/** Of assembly/filter-gradient.ts. */
const ADDED_FLOATS = 4096;
/** Room for the fields. */
const FIELDS_BYTES = 192;

/**
 * The gradient of a 3x3 filter of stride 1 by Winograd's minimal filtering: per strip of tiles, the transformed input and the transformed
 * gradient are made, then multiplied. The sums do not depend on the number of threads.
 */
export class FilterGradient3x3 {
  private readonly workspace: Workspace;
  /** The fields, then the constants. */
  private readonly block: number;

  constructor(
    private readonly runtime: WasmRuntime,
    private readonly kernels: Conv3x3Exports,
    private readonly pool: ThreadPool,
    private readonly items: Record<ItemKernelName, PoolKernel>,
  ) {
    this.workspace = new Workspace(runtime);
    this.block = runtime.malloc(FIELDS_BYTES + CONSTANTS_BYTES + 64);
    kernels.writeConstants(this.constants);
  }

  private get constants(): number {
    return aligned(this.block) + FIELDS_BYTES;
  }

  /**
   * Computes it into a new tensor, `[3, 3, inChannels, outChannels]`, and where they are wanted the sums, `[outChannels]`, into another.
   * @throws VggError `VGG_MEMORY` when the heap is full; nothing is kept then
   */
  run({ x, dy, mask, sums, info }: FilterGradientCall): TensorInfo[] {
    const { workspace } = this;
    const rowCut = cutSide(info.outHeight);
    const columnCut = cutSide(info.outWidth);
    const rows = info.batchSize * (rowCut.six + rowCut.four);
    const perRow = columnCut.six + columnCut.four;
    const panels = Math.ceil(info.outChannels / 8);
    const places = info.batchSize * info.outHeight * info.outWidth;
    const threads = worthSharing(places * info.outChannels, info.inChannels) ? this.pool.threads : 1;
    const division = divideFilterGradient(rows, perRow, info.inChannels, info.outChannels, threads);
    const outputs = workspace.makeOutputs('conv3x3', [info.filterShape, ...(sums ? [[info.outChannels]] : [])]);
    const fields: Fields = {
      input: workspace.pointer(x),
      output: 0,
      filter: 0,
      bias: 0,
      constants: this.constants,
      batch: info.batchSize,
      height: info.inHeight,
      width: info.inWidth,
      inChannels: info.inChannels,
      outHeight: info.outHeight,
      outWidth: info.outWidth,
      outChannels: info.outChannels,
      padTop: info.padInfo.top,
      padLeft: info.padInfo.left,
      relu: 0,
      rows6: rowCut.six,
      rows4: rowCut.four,
      columns6: columnCut.six,
      columns4: columnCut.four,
      points: POINTS.sixes,
      panels,
      blockPanels: BLOCK_PANELS,
      rowsPerItem: division.rows,
      tilesPerItem: division.by === 'panels' ? division.tilesPerItem : 0,
      panelsPerItem: division.panelsPerItem,
      stripFrom: 0,
      stripTo: 0,
      strip: 0,
      wide: 0,
      pool: 0,
      flipped: 0,
      mask: 0,
      gradient: workspace.pointer(dy),
      gradientMask: mask ? workspace.pointer(mask) : 0,
      transformed: 0,
      target: workspace.pointer(outputs[0]),
      sums: sums ? workspace.pointer(outputs[1]) : 0,
      adds: 0,
    };
    try {
      if (hasTwos(info)) this.computeTwos(fields, threads);
      else if (division.by === 'strips') this.computeStrips(fields, division, rows, threads);
      else this.compute(fields, division.rows, rows, perRow, threads);
      return outputs;
    } catch (error) {
      for (const { dataId } of outputs) this.runtime.backend.disposeData(dataId, true);
      throw error;
    }
  }

  private compute(fields: Fields, strip: number, rows: number, perRow: number, threads: number): void {
    const { kernels, items } = this;
    const job = this.describe(fields);
    const tiles = Math.min(strip, rows) * perRow;
    const sizes = [kernels.inputBytes(job, tiles), kernels.gradientBytes(job, tiles), kernels.filterGradientBytes(job)];
    this.inStrips(fields, sizes, { strip, end: rows, threads }, (task, count) => {
      this.pool.run(items.transformGradientItem, { ...task, items: Math.ceil((count * perRow) / fields.tilesPerItem) });
      const blocks = Math.ceil(fields.inChannels / 64) * Math.ceil(fields.panels / fields.panelsPerItem);
      this.pool.run(items.filterGradientItem, { ...task, items: blocks });
    });
  }

  /** Each thread with strips of its own, and slots in the place of what is transformed. */
  private computeStrips(fields: Fields, { rows, strips }: SlottedStrips, end: number, threads: number): void {
    const { kernels, items } = this;
    const job = this.describe(fields);
    const sizes = [0, strips * kernels.slotBytes(job), kernels.filterGradientStripBytes(job)];
    this.inStrips(fields, sizes, { strip: rows * strips, end, threads }, (task, count) => {
      this.pool.run(items.filterGradientStripItem, { ...task, items: Math.ceil(count / rows) });
      const floats = 9 * fields.inChannels * fields.outChannels;
      this.pool.run(items.addSlotsItem, { ...task, items: Math.ceil(floats / ADDED_FLOATS) });
    });
  }

  /** Of maps of 2 x 2: strips of images. */
  private computeTwos(fields: Fields, threads: number): void {
    const { kernels, items } = this;
    const { batch, panels, inChannels } = fields;
    const chunks = Math.ceil(inChannels / 64);
    const { images, imagesPerItem, panelsPerItem } = divideTwos(batch, panels, threads, chunks);
    fields.tilesPerItem = imagesPerItem;
    fields.panelsPerItem = panelsPerItem;
    const job = this.describe(fields);
    const sizes = [kernels.twosInputBytes(job, images), kernels.twosGradientBytes(job, images), kernels.twosBytes(job, images)];
    this.inStrips(fields, sizes, { strip: images, end: batch, threads }, (task, count) => {
      this.pool.run(items.transformTwosGradientItem, { ...task, items: Math.ceil(count / imagesPerItem) });
      this.pool.run(items.filterGradientTwosItem, { ...task, items: chunks * Math.ceil(panels / panelsPerItem) });
    });
  }

  /**
   * One strip after the other, with memory for what is transformed of the input and the gradient, and for each thread.
   *
   * @param sizes bytes of these three, as the kernels say
   */
  private inStrips(
    fields: Fields,
    sizes: readonly number[],
    { strip, end, threads }: { strip: number; end: number; threads: number },
    compute: (task: Omit<Task, 'items'>, count: number) => void,
  ): void {
    const [input, gradient, stride] = sizes.map((bytes) => aligned(bytes >>> 0));
    const pointer = this.runtime.malloc(input + gradient + threads * stride + 64);
    try {
      fields.strip = aligned(pointer);
      fields.transformed = fields.strip + input;
      for (let from = 0; from < end; from += strip) {
        fields.stripFrom = from;
        fields.stripTo = Math.min(from + strip, end);
        fields.adds = from === 0 ? 0 : 1;
        const job = this.describe(fields);
        compute({ job, work: fields.transformed + gradient, stride, threads }, fields.stripTo - from);
      }
    } finally {
      this.runtime.free(pointer);
    }
  }

  /** Writes the fields into the heap, where the kernels, those that say sizes too, read them. */
  private describe(fields: Fields): number {
    const job = aligned(this.block);
    this.workspace.write(job, FIELDS.map((name) => fields[name])); // biome-ignore format: one thought
    return job;
  }

  dispose(): void {
    this.runtime.free(this.block);
  }
}

/** Whether all maps are 2 x 2, with zeros around the input. */
function hasTwos({ inHeight, inWidth, outHeight, outWidth, padInfo: { top, left } }: backend_util.Conv2DInfo): boolean {
  return inHeight === 2 && inWidth === 2 && outHeight === 2 && outWidth === 2 && top === 1 && left === 1;
}
