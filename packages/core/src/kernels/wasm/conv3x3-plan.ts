/** How an image is cut into output tiles along one side: `six` tiles of 6, then `four` tiles of 4, together at least its length. */
export interface Cut {
  six: number;
  four: number;
}

/**
 * The cheapest cut of a side (a tile of 6 costs 8 points, a tile of 4 costs 6). Even sides from 4 up have no partial tile.
 *
 * @example cutSide(14) // { six: 1, four: 2 }
 */
export function cutSide(length: number, foursOnly = false): Cut {
  if (foursOnly) return { six: 0, four: Math.ceil(length / 4) };
  const six = Math.ceil(length / 6);
  let best: Cut = { six, four: 0 };
  let cost = six * 8;
  // Three fours are two sixes of the same cost, so two fours are enough.
  for (let four = 1; four <= 2; four++) {
    const sixes = Math.max(0, Math.ceil((length - 4 * four) / 6));
    if (sixes * 8 + four * 6 < cost) {
      best = { six: sixes, four };
      cost = sixes * 8 + four * 6;
    }
  }
  return best;
}

/** The most input channels for which the product without a transform is faster; the kernel takes up to 7. */
const DIRECT_CHANNELS = 4;
export function isDirect(inChannels: number): boolean {
  return inChannels <= DIRECT_CHANNELS;
}

/** Panels of eight output channels between two output transforms. */
export const BLOCK_PANELS = 8;

/**
 * Tile rows of a strip, of `rows` in all. A strip should be small enough that its transformed input stays in the second cache, and
 * large enough that the filter, which every strip reads anew, is not what the time goes to: with many channels that is whole layers.
 */
export function stripRows(rows: number, tilesPerRow: number, inChannels: number): number {
  const tiles = inChannels <= 64 ? 44 : inChannels <= 128 ? 24 : 100;
  const strips = Math.min(rows, Math.max(1, Math.round((rows * tilesPerRow) / tiles)));
  return Math.ceil(rows / strips);
}

/** What a layer is divided into, so that threads can share it. Either strips that are whole in themselves ... */
export interface Strips {
  by: 'strips';
  rows: number;
}
/** ... or, one strip after the other, first its tiles, whose transformed input all need, then its panels of output channels. */
export interface Panels {
  by: 'panels';
  rows: number;
  tilesPerItem: number;
  panelsPerItem: number;
}

/** Below so many multiplications waking a thread takes longer than the work. */
const LEAST_SHARED = 2e6;
export function worthSharing(outputs: number, inChannels: number): boolean {
  return outputs * inChannels * 9 >= LEAST_SHARED;
}

/**
 * Divides `rows` tile rows of `tilesPerRow` tiles among threads. With few channels a thread takes strips of its own; with many, where a
 * strip is the whole layer and its filter is what memory is slow with, the threads share the strip and each reads a part of the filter.
 */
export function divide(rows: number, tilesPerRow: number, inChannels: number, panels: number, threads: number): Strips | Panels {
  const strip = stripRows(rows, tilesPerRow, inChannels);
  if (threads === 1) return { by: 'strips', rows: strip };
  // A few items for each thread, or the last one working keeps the others waiting.
  const few = 3 * threads;
  if (panels < threads || (inChannels <= 128 && Math.ceil(rows / strip) >= 2 * threads)) {
    return { by: 'strips', rows: Math.min(strip, Math.max(1, Math.floor(rows / few))) };
  }
  const shared = stripRows(rows, tilesPerRow, Infinity);
  const panelsPerItem = [8, 4, 2].find((each) => panels / each >= few) ?? 1;
  return { by: 'panels', rows: shared, tilesPerItem: Math.ceil((shared * tilesPerRow) / (4 * threads)), panelsPerItem };
}

/** A product on the filter as it lies: output pixels and panels of an item. */
export interface Windows {
  pixelsPerItem: number;
  panelsPerItem: number;
}

/** Panels that are packed at once; fewer would gather the input anew too often. */
const PACKED_PANELS = 16;
/** Pixels below which packing the filter takes much of the time. */
const LEAST_PIXELS = 192;

/** Divides a product of so many output pixels and panels among threads. */
export function divideWindows(pixels: number, panels: number, threads: number): Windows {
  if (threads === 1) return { pixelsPerItem: pixels, panelsPerItem: panels };
  const wanted = 3 * threads;
  const blocks = Math.ceil(panels / PACKED_PANELS);
  const ranges = Math.max(1, Math.min(Math.floor(pixels / LEAST_PIXELS), Math.ceil(wanted / blocks)));
  const panelsPerItem = [16, 8, 4].find((each) => ranges * Math.ceil(panels / each) >= wanted) ?? 4;
  // Whole groups of the 48 pixels that the kernel takes at once.
  return { pixelsPerItem: Math.ceil(pixels / ranges / 48) * 48, panelsPerItem };
}

/** What the maps of 2 x 2 of a batch are divided into: strips of images, then a few images or panels an item. */
export interface Images {
  images: number;
  imagesPerItem: number;
  panelsPerItem: number;
}

/** Images of a strip: the gradient of a filter is summed in strips, so they do not depend on the threads. */
const STRIP_IMAGES = 128;

/** Divides a convolution of 2 x 2 among threads; `groups` are what panels are taken together with. */
export function divideTwos(batch: number, panels: number, threads: number, groups = 1): Images {
  const images = Math.ceil(batch / Math.ceil(batch / STRIP_IMAGES));
  const few = threads === 1 ? 1 : 3 * threads;
  const panelsPerItem = [8, 4, 2].find((each) => groups * Math.ceil(panels / each) >= few) ?? 1;
  return { images, imagesPerItem: Math.ceil(images / (threads === 1 ? 1 : 4 * threads)), panelsPerItem };
}

/** Tiles that the gradient of a filter sums in one go, about. */
const SUMMED_TILES = 64;
/** About what the gradients of strips take at most that wait to be added; a thread can always have two. */
const SLOT_FLOATS = 2 ** 20;

/** Strips that threads take for themselves, `strips` of them before what they brought is added up. */
export interface SlottedStrips {
  by: 'strips';
  rows: number;
  strips: number;
  panelsPerItem: number;
}

/**
 * Divides the gradient of a filter among threads. The strips are what the sums are made of, so they do not depend on the threads. With few
 * input channels a strip is too little work to be shared; a thread then keeps what it transforms in its own cache.
 */
export function divideFilterGradient(
  rows: number,
  tilesPerRow: number,
  inChannels: number,
  outChannels: number,
  threads: number,
): SlottedStrips | Panels {
  const wanted = Math.max(1, Math.min(rows, Math.round((rows * tilesPerRow) / SUMMED_TILES)));
  const strip = Math.ceil(rows / wanted);
  const strips = Math.ceil(rows / strip);
  const panels = Math.ceil(outChannels / 8);
  const chunks = Math.ceil(inChannels / 64);
  if (threads > 1 && chunks === 1 && strips >= 2 * threads) {
    const slots = Math.max(2, Math.floor(SLOT_FLOATS / (9 * inChannels * outChannels * threads))) * threads;
    return { by: 'strips', rows: strip, strips: Math.min(strips, slots), panelsPerItem: 8 };
  }
  const few = threads === 1 ? 1 : 3 * threads;
  const panelsPerItem = [8, 4, 2].find((each) => chunks * Math.ceil(panels / each) >= few) ?? 1;
  return { by: 'panels', rows: strip, tilesPerItem: Math.ceil((strip * tilesPerRow) / (threads === 1 ? 1 : 4 * threads)), panelsPerItem };
}
