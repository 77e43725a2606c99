// One convolution as the caller (conv3x3.ts) writes it into the heap, 4 bytes a field, in this order: LAYER_FIELDS there.
// All pointers are bytes; all arrays are float32.

@unmanaged
export class Layer {
  /** [batch][height][width][inChannels], unpadded. */
  input: usize;
  /** [batch][outHeight][outWidth][outChannels]. */
  output: usize;
  /** What `transformFilter` or `packFilter` wrote, or for `convolveWindows` the filter itself, [3][3][inChannels][outChannels]. */
  filter: usize;
  /** [panels][8], zeros past outChannels. */
  bias: usize;
  /** The constants of `writeConstants`. */
  constants: usize;
  batch: i32;
  height: i32;
  width: i32;
  inChannels: i32;
  outHeight: i32;
  outWidth: i32;
  outChannels: i32;
  /** Rows and columns of zeros above and left of the input. */
  padTop: i32;
  padLeft: i32;
  /** 1: negative results become 0. */
  relu: i32;
  /** Output tiles an image is cut into, by side: first those of 6, then those of 4; the last may reach past the image. */
  rows6: i32;
  rows4: i32;
  columns6: i32;
  columns4: i32;
  /** 64, or 36 where all tiles are of 4. */
  points: i32;
  /** Panels of eight output channels, and how many of them are computed between two output transforms. */
  panels: i32;
  blockPanels: i32;
  /** What jobs.ts divides the layer into; the results do not depend on it. Rows of an item: of tiles, of outputs for the direct kernel, or single outputs for `convolveWindows`. */
  rowsPerItem: i32;
  tilesPerItem: i32;
  /** A divisor of `blockPanels`, where there are tiles. */
  panelsPerItem: i32;
  /** The strip that `transformInputItem` and `multiplyItem` work on: its tile rows, and its transformed input. */
  stripFrom: i32;
  stripTo: i32;
  strip: usize;
  /** 1: two panels are multiplied at once. */
  wide: i32;
  /** 1: the output, of tiles only, is the largest of each 2 x 2 cells, [batch][outHeight / 2][outWidth / 2][outChannels]; what is odd is left out. */
  pool: i32;
  /** 1: `filter` is to be read flipped, see `transformFilter`; where it is read as it lies. */
  flipped: i32;
  /** As the input, or 0 for none: the input counts as 0 where this is not positive, which is what a ReLU does to a gradient. */
  mask: usize;
}

/** Floats of `source`, and zeros where `mask` is not positive. */
export function copyMasked(target: usize, source: usize, mask: usize, floats: i32): void {
  const zero = f32x4.splat(0);
  for (; floats >= 4; floats -= 4) {
    v128.store(target, v128.and(v128.load(source), f32x4.gt(v128.load(mask), zero)));
    target += 16;
    source += 16;
    mask += 16;
  }
  for (; floats > 0; floats--) {
    store<f32>(target, load<f32>(mask) > 0 ? load<f32>(source) : 0);
    target += 4;
    source += 4;
    mask += 4;
  }
}

// @ts-ignore: decorator
@inline
export function min(a: i32, b: i32): i32 {
  return a < b ? a : b;
}

// @ts-ignore: decorator
@inline
export function max(a: i32, b: i32): i32 {
  return a > b ? a : b;
}

/** Input channels as the kernels hold them: a multiple of four. */
// @ts-ignore: decorator
@inline
export function padded(channels: i32): i32 {
  return (channels + 3) & ~3;
}

/** What a negative result becomes at least: 0 after a ReLU, anything otherwise. */
// @ts-ignore: decorator
@inline
export function floorOf(layer: Layer): v128 {
  return layer.relu ? f32x4.splat(0) : f32x4.splat(-Infinity);
}
