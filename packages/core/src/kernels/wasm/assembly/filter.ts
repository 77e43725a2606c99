// Filters as the kernels read them, made once for each filter. The source is [3][3][inChannels][outChannels].

import { min, padded } from './layer';
import { transpose } from './panels';

/** The nine taps of four input channels and a panel. */
const TAPS_BYTES: usize = 1152;
/** What `transformPair` needs. */
const MIDDLE_BYTES: usize = 512;

/**
 * The filter at the 64 points of transforms.ts (36 for tiles of 4 alone, 9 for twos.ts): U = G g G^T in float64, rounded once.
 * Output: [block of panels][point][panel][padded channel][8], zeros where there is no channel.
 * `flipped`: the filter of the gradient of the input, turned by 180 degrees and with its channels exchanged; the source is
 * [3][3][outChannels][inChannels] then.
 * `work`: 9856 bytes, 64-byte aligned. Only the panels `from` to `to` (exclusive) are made.
 */
export function transformFilter(
  filter: usize,
  output: usize,
  work: usize,
  inChannels: i32,
  outChannels: i32,
  points: i32,
  blockPanels: i32,
  flipped: bool,
  from: i32,
  to: i32,
): void {
  const panels = (outChannels + 7) / 8;
  const panelBytes = <usize>padded(inChannels) * 32;
  // For maps of 2 x 2 (twos.ts) panels are not in blocks.
  if (points == 9) blockPanels = 1;
  for (let panel = from; panel < to; panel++) {
    const block = panel - (panel % blockPanels);
    const stride = <usize>min(blockPanels, panels - block) * panelBytes;
    const first = output + <usize>(block * points) * panelBytes + <usize>(panel - block) * panelBytes;
    const points4 = work + TAPS_BYTES + MIDDLE_BYTES;
    for (let channel = 0; channel < padded(inChannels); channel += 4) {
      if (flipped) gatherFlipped(filter, work, inChannels, outChannels, channel, panel);
      else gather(filter, work, inChannels, outChannels, channel, panel);
      for (let i: usize = 0; i < 4; i++) {
        if (points == 9) {
          for (let half: usize = 0; half < 32; half += 16) transformTwos(work + i * 288 + half, points4 + i * 32 + half, 128);
          continue;
        }
        for (let pair: usize = 0; pair < 32; pair += 8) {
          transformPair(work + i * 288 + pair, work + TAPS_BYTES, points4 + i * 32 + pair, 128, points == 36);
        }
      }
      spread(points4, first + <usize>channel * 32, stride, points);
    }
  }
}

/** To their places, which share a few sets of the caches: each line is written once and whole. */
function spread(source: usize, target: usize, stride: usize, points: i32): void {
  for (let point = 0; point < points; point++) {
    for (let at: usize = 0; at < 128; at += 16) v128.store(target + at, v128.load(source + at));
    source += 128;
    target += stride;
  }
}

/** The taps of four input channels and a panel: [channel][tap][8], zeros where there is no channel. */
function gather(filter: usize, taps: usize, inChannels: i32, outChannels: i32, channel: i32, panel: i32): void {
  const width = <usize>min(8, outChannels - panel * 8) * 4;
  memory.fill(taps, 0, 1152);
  for (let i = channel; i < min(channel + 4, inChannels); i++) {
    for (let tap = 0; tap < 9; tap++) {
      memory.copy(taps + <usize>tap * 32, filter + <usize>((tap * inChannels + i) * outChannels + panel * 8) * 4, width);
    }
    taps += 288;
  }
}

/** The same of the flipped filter. */
function gatherFlipped(filter: usize, taps: usize, inChannels: i32, outChannels: i32, channel: i32, panel: i32): void {
  const width = min(8, outChannels - panel * 8);
  const count = min(4, inChannels - channel);
  if (width < 8 || count < 4) memory.fill(taps, 0, 1152);
  for (let tap = 0; tap < 9; tap++) {
    const source = filter + <usize>(((8 - tap) * outChannels + panel * 8) * inChannels + channel) * 4;
    transpose(source, <usize>inChannels * 4, taps + <usize>tap * 32, 288, width, count);
  }
}

/** Four output channels of one input channel at the nine points of twos.ts. */
function transformTwos(taps: usize, output: usize, stride: usize): void {
  for (let y: usize = 0; y < 3; y++) {
    // The middle row, then what the others are beyond it.
    const row = y == 0 ? 96 : y == 1 ? 192 : 0;
    let left = v128.load(taps + row), middle = v128.load(taps + row, 32), right = v128.load(taps + row, 64);
    if (y > 0) {
      left = f32x4.sub(left, v128.load(taps, 96));
      middle = f32x4.sub(middle, v128.load(taps, 128));
      right = f32x4.sub(right, v128.load(taps, 160));
    }
    v128.store(output, middle);
    v128.store(output + stride, f32x4.sub(right, middle));
    v128.store(output + stride * 2, f32x4.sub(left, middle));
    output += stride * 3;
  }
}

/** Two output channels of one input channel. `taps`: nine pairs 32 bytes apart. `middle`: 8 x 3 pairs of float64. */
function transformPair(taps: usize, middle: usize, output: usize, stride: usize, fours: bool): void {
  for (let x: usize = 0; x < 3; x++) {
    const g0 = f64x2.promote_low_f32x4(v128.load64_zero(taps + x * 32));
    const g1 = f64x2.promote_low_f32x4(v128.load64_zero(taps + x * 32 + 96));
    const g2 = f64x2.promote_low_f32x4(v128.load64_zero(taps + x * 32 + 192));
    points3(g0, g1, g2, middle + x * 16, 48);
  }
  for (let y: usize = 0; y < 8; y++) {
    if (fours && (y == 5 || y == 6)) continue;
    const at = middle + y * 48;
    // The eight points of this row, behind the rows.
    const row = middle + 384;
    points3(v128.load(at), v128.load(at, 16), v128.load(at, 32), row, 16);
    for (let x: usize = 0; x < 8; x++) {
      if (fours && (x == 5 || x == 6)) continue;
      v128.store64_lane(output, f32x4.demote_f64x2_zero(v128.load(row + x * 16)), 0);
      output += stride;
    }
  }
}

/** The rows of G: a filter of three taps at 0, 1, -1, 2, -2, 1/2, -1/2 and infinity. */
// @ts-ignore: decorator
@inline
function points3(g0: v128, g1: v128, g2: v128, d: usize, ds: usize): void {
  const ninth = f64x2.splat(-2.0 / 9.0);
  const even = f64x2.mul(ninth, f64x2.add(g0, g2));
  const odd = f64x2.mul(ninth, g1);
  v128.store(d, g0);
  v128.store(d + ds, f64x2.add(even, odd));
  v128.store(d + ds * 2, f64x2.sub(even, odd));
  const r90 = f64x2.splat(1.0 / 90.0);
  const r45 = f64x2.splat(1.0 / 45.0);
  const even2 = f64x2.add(f64x2.mul(r90, g0), f64x2.mul(f64x2.splat(2.0 / 45.0), g2));
  const odd2 = f64x2.mul(r45, g1);
  v128.store(d + ds * 3, f64x2.add(even2, odd2));
  v128.store(d + ds * 4, f64x2.sub(even2, odd2));
  const evenHalf = f64x2.add(f64x2.mul(r45, g0), f64x2.mul(f64x2.splat(1.0 / 180.0), g2));
  const oddHalf = f64x2.mul(r90, g1);
  v128.store(d + ds * 5, f64x2.add(evenHalf, oddHalf));
  v128.store(d + ds * 6, f64x2.sub(evenHalf, oddHalf));
  v128.store(d + ds * 7, g2);
}

/** The filter of the direct kernel: [panel][9 * inChannels][8], zeros where there is no channel. `flipped`: see `transformFilter`. */
export function packFilter(filter: usize, output: usize, inChannels: i32, outChannels: i32, flipped: bool): void {
  const panels = (outChannels + 7) / 8;
  const rows = inChannels * 9;
  memory.fill(output, 0, <usize>(panels * rows) * 32);
  for (let panel = 0; panel < panels; panel++) {
    const width = min(8, outChannels - panel * 8);
    for (let tap = 0; tap < 9; tap++) {
      const source = filter + <usize>(flipped ? ((8 - tap) * outChannels + panel * 8) * inChannels : tap * inChannels * outChannels + panel * 8) * 4;
      if (flipped) transpose(source, <usize>inChannels * 4, output, 32, width, inChannels);
      else for (let i = 0; i < inChannels; i++) memory.copy(output + <usize>i * 32, source + <usize>(i * outChannels) * 4, <usize>width * 4);
      output += <usize>inChannels * 32;
    }
  }
}
