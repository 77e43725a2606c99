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
