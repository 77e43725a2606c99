import { BLOCK_PANELS, cutSide, divide, divideFilterGradient, divideTwos, isDirect, worthSharing } from './conv3x3-plan.js';

/** How much memory the kernels may take to be fast. */
export const MEMORY_MODES = ['fast', 'balanced', 'small'] as const;
export type MemoryMode = (typeof MEMORY_MODES)[number];

/**
 * What is kept of a filter beside the filter itself: it at 64 points for tiles of 6 and 4 (`sixes`), at 36 for tiles of 4 alone
 * (`fours`), at 9 for maps of 2 x 2 with zeros around them (`twos`), its panels for inputs of few channels (`panels`), or nothing, and it is read as it lies (`none`).
 */
export type FilterForm = 'sixes' | 'fours' | 'twos' | 'panels' | 'none';

/** The sizes of one 3x3 convolution of stride 1. */
export interface ConvolutionSizes {
  batchSize: number;
  inChannels: number;
  outHeight: number;
  outWidth: number;
  outChannels: number;
  /** Whether a line of zeros lies on every side of the input, so that the output has its size. Default: true. */
  same?: boolean;
}

/** Up to this side `balanced` computes with tiles of 4 alone: the deep layers of a VGG, which have most of the weights. */
const SMALL_SIDE = 56;
/** What `small` keeps of one filter at most. */
const SIXES_BYTES = 9 * 2 ** 20;
const FOURS_BYTES = 20 * 2 ** 20;

/** The form that a mode takes for a convolution. */
export function filterForm(mode: MemoryMode, { inChannels, outChannels, outHeight, outWidth, same = true }: ConvolutionSizes): FilterForm {
  if (isDirect(inChannels)) return 'panels';
  // As large as the filter itself.
  if (same && outHeight === 2 && outWidth === 2 && mode !== 'small') return 'twos';
  // Small maps have no tiles of 6, and so no points of their own for them.
  const largest = cutSide(outHeight).six + cutSide(outWidth).six > 0 ? 'sixes' : 'fours';
  if (mode === 'fast') return largest;
  if (mode === 'balanced') return Math.max(outHeight, outWidth) <= SMALL_SIDE ? 'fours' : largest;
  if (filterBytes('sixes', inChannels, outChannels) <= SIXES_BYTES) return largest;
  return filterBytes('fours', inChannels, outChannels) <= FOURS_BYTES ? 'fours' : 'none';
}

/** Whether it is a form for tiles; only their kernel computes a pool with the convolution. */
export function hasTiles(form: FilterForm): form is keyof typeof POINTS {
  return form === 'sixes' || form === 'fours';
}

/** Points of the transform, for tiles. */
export const POINTS = { sixes: 64, fours: 36 } as const;
export const TWOS_POINTS = 9;

/** Bytes that a form of a filter takes. */
export function filterBytes(form: FilterForm, inChannels: number, outChannels: number): number {
  const panels = Math.ceil(outChannels / 8) * 32;
  if (form === 'none') return 0;
  if (form === 'panels') return panels * 9 * inChannels;
  return panels * (form === 'twos' ? TWOS_POINTS : POINTS[form]) * Math.ceil(inChannels / 4) * 4;
}

/** What one convolution takes in the heap beside its input, its filter and its output. */
export interface ConvolutionMemory {
  /** For what is kept of the filter, until the filter is disposed. */
  filter: number;
  /** While it runs. */
  scratch: number;
  /** Whether a 2x2 max pool behind it is computed with it, so that its own output is never there. */
  pools: boolean;
}

/**
 * What a 3x3 convolution of stride 1 takes on the wasm backend, in bytes: the same arithmetic as the kernels'.
 *
 * @example
 * planConvolution('fast', { batchSize: 1, inChannels: 512, outHeight: 14, outWidth: 14, outChannels: 512 }, 1).filter; // 67108864
 */
export function planConvolution(mode: MemoryMode, sizes: ConvolutionSizes, threads: number): ConvolutionMemory {
  const { batchSize, inChannels, outHeight, outWidth, outChannels } = sizes;
  const form = filterForm(mode, sizes);
  const sharing = worthSharing(batchSize * outHeight * outWidth * outChannels, inChannels) ? threads : 1;
  const bias = lines(Math.ceil(outChannels / 8) * 32);
  return {
    filter: filterBytes(form, inChannels, outChannels),
    pools: hasTiles(form),
    scratch: bias + scratchBytes(form, sizes, sharing),
  };
}

function scratchBytes(form: FilterForm, sizes: ConvolutionSizes, threads: number): number {
  if (hasTiles(form)) return tileBytes(form, sizes, threads);
  return form === 'twos' ? twosBytes(sizes, threads) : threads * lineBytes(form, sizes);
}

/**
 * What the gradient of a 3x3 filter of stride 1 takes on the wasm backend while it is computed, in bytes: the same arithmetic as the kernels'.
 *
 * @param sizes of the convolution whose filter it is
 * @example
 * planFilterGradient({ batchSize: 1, inChannels: 64, outHeight: 224, outWidth: 224, outChannels: 64 }, 1); // 3581248
 */
export function planFilterGradient(sizes: ConvolutionSizes, threads: number): number {
  const { batchSize, inChannels, outHeight, outWidth, outChannels, same = true } = sizes;
  const panels = Math.ceil(outChannels / 8);
  const sharing = worthSharing(batchSize * outHeight * outWidth * outChannels, inChannels) ? threads : 1;
  const chunks = Math.ceil(inChannels / 64);
  const input = (strip: number) => strip * chunks * 256 + 64;
  const gradient = (strip: number) => strip * panels * 32 + 64;
  if (same && outHeight === 2 && outWidth === 2) {
    const { images, panelsPerItem } = divideTwos(batchSize, panels, sharing, chunks);
    const own = 64 + Math.max(9 * panelsPerItem * (images * 32 + 64), TAPS_BYTES + 9 * CHUNK_BYTES);
    return lines(9 * input(images)) + lines(9 * gradient(images)) + sharing * lines(own);
  }
  const [rowCut, columnCut] = [cutSide(outHeight), cutSide(outWidth)];
  const rows = batchSize * (rowCut.six + rowCut.four);
  const perRow = columnCut.six + columnCut.four;
  const division = divideFilterGradient(rows, perRow, inChannels, outChannels, sharing);
  const tiles = Math.min(division.rows, rows) * perRow;
  const products = MIDDLE_BYTES + TAPS_BYTES + 64 * division.panelsPerItem * CHUNK_BYTES;
  const own = Math.max(MIDDLE_BYTES + 36 * panels * 32, products, tileHeadBytes(inChannels));
  if (division.by === 'strips') {
    const slot = lines((9 * inChannels + 1) * outChannels * 4);
    return division.strips * slot + sharing * lines(256 + 64 * (input(tiles) + gradient(tiles)) + own);
  }
  return lines(64 * input(tiles)) + lines(64 * gradient(tiles)) + sharing * lines(own);
}

/** Of assembly/filter-gradient.ts and twos.ts: a tile between two transforms, the nine taps of a channel and a panel, products of 64 channels. */
const MIDDLE_BYTES = 1024;
const TAPS_BYTES = 320;
const CHUNK_BYTES = 64 * 32 + 64;

/** `headBytes` of assembly/winograd.ts. */
function tileHeadBytes(inChannels: number): number {
  return MIDDLE_BYTES + 1152 + Math.ceil(inChannels / 4) * 4 * 256;
}

/** Memory of all threads in assembly/twos.ts. */
function twosBytes({ batchSize, inChannels, outChannels }: ConvolutionSizes, threads: number): number {
  const { images, panelsPerItem } = divideTwos(batchSize, Math.ceil(outChannels / 8), threads);
  const input = 9 * (images * Math.ceil(inChannels / 64) * 256 + 64);
  const products = 9 * panelsPerItem * (images * 32 + 64);
  return lines(input) + threads * lines(64 + Math.max(products, TAPS_BYTES + 9 * CHUNK_BYTES));
}

/** Private memory of one thread in assembly/direct.ts and windows.ts. */
function lineBytes(form: FilterForm, { inChannels, outWidth }: ConvolutionSizes): number {
  if (form === 'none') return lines(WINDOW_BYTES);
  return lines(48 * 288 + 3 * (((outWidth + 2) * inChannels * 4 + 79) & ~63));
}

/** `windowBytes` of assembly/windows.ts. */
const WINDOW_BYTES = 48 * 1024 + 16 * (256 * 32 + 64) + 48 * 32 + 64;

/** Memory of all threads in assembly/winograd.ts. */
function tileBytes(form: 'sixes' | 'fours', sizes: ConvolutionSizes, threads: number): number {
  const { batchSize, inChannels, outHeight, outWidth, outChannels } = sizes;
  const [rowCut, columnCut] = [outHeight, outWidth].map((side) => cutSide(side, form === 'fours'));
  const rows = batchSize * (rowCut.six + rowCut.four);
  const perRow = columnCut.six + columnCut.four;
  const division = divide(rows, perRow, inChannels, Math.ceil(outChannels / 8), threads);
  const tiles = division.rows * perRow;
  const input = 64 * (tiles * Math.ceil(inChannels / 64) * 256 + 64);
  const panels = (count: number) => tileHeadBytes(inChannels) + 64 * count * (tiles * 32 + 64);
  if (division.by === 'strips') return threads * lines(panels(BLOCK_PANELS) + input);
  return lines(input) + threads * lines(panels(division.panelsPerItem));
}

/** Rounded up to whole cache lines. */
function lines(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
