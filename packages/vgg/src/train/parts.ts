import type { Layer } from '../network/plan.js';

/** A layer that learns, and for one picture the bytes of what it takes and of its map. */
export interface LearningMap {
  readonly layer: Layer;
  readonly input: number;
  readonly output: number;
}

/** How the layers that learn are cut into parts whose maps are computed anew on the way back. */
export interface Parts {
  /** The layers that parts end with, but for the last; their maps are kept. */
  readonly cuts: readonly string[];
  /** The most that is held of one picture at a time. */
  readonly bytes: number;
}

/** The search for the cheapest parts ends so near to them. */
const NEAR = 0.01;

/** No map is computed anew. */
export function onePart(maps: readonly LearningMap[]): Parts {
  return { cuts: [], bytes: maps.reduceRight(peakWith, 0) };
}

/**
 * The parts that hold least (Chen et al. 2016, arXiv:1604.06174, for maps of several sizes): while one is on its way back, the maps that it and
 * those before it begin with, and its own.
 *
 * @example
 * cheapestParts(maps).cuts; // of VGG-16 with batch normalisation at 224 x 224: ['relu1_1', 'pool1', 'pool2']
 */
export function cheapestParts(maps: readonly LearningMap[]): Parts {
  let best = onePart(maps);
  let tooLittle = 0;
  while (best.bytes - tooLittle > NEAR * best.bytes) {
    const most = (best.bytes + tooLittle) / 2;
    const found = partsWithin(maps, most);
    if (found) best = found;
    else tooLittle = most;
  }
  return best;
}

/**
 * What layers hold on their way back, from what those behind the first hold. The first comes last: its map, if its gradient or the next
 * one's needs it, then waits for all of them.
 */
function peakWith(behind: number, { layer: { kind }, input, output }: LearningMap): number {
  // A ReLU is computed with the layer before it, and flattening copies nothing.
  if (kind === 'relu' || kind === 'flatten') return behind;
  // On its turn there are the gradients of both sides.
  return output + Math.max(behind, input + output);
}

/** A way to cut the first layers. */
interface Way extends Parts {
  /** The maps that it keeps. */
  readonly kept: number;
}

/** The cuts that keep least where no more than `most` is ever held; undefined where there are none. */
function partsWithin(maps: readonly LearningMap[], most: number): Parts | undefined {
  // Of the first 0, 1, 2 ... layers.
  const ways: (Way | undefined)[] = [{ cuts: [], bytes: 0, kept: 0 }];
  for (let end = 1; end <= maps.length; end++) {
    const isEnd = end === maps.length;
    if (!isEnd && maps[end]!.layer.kind === 'relu') continue;
    const { layer, output } = maps[end - 1]!;
    // The result of a part is there until the part is done.
    const result = isEnd ? 0 : output;
    let peak = 0;
    for (let start = end - 1; start >= 0; start--) {
      peak = peakWith(peak, maps[start]!);
      if (peak + result > most) break;
      const before = ways[start];
      if (!before) continue;
      const bytes = Math.max(before.bytes, before.kept + peak + result);
      const kept = before.kept + result;
      const known = ways[end];
      if (bytes > most || (known && known.kept <= kept)) continue;
      ways[end] = { cuts: isEnd ? before.cuts : [...before.cuts, layer.name], bytes, kept };
    }
  }
  const whole = ways[maps.length];
  return whole && { cuts: whole.cuts, bytes: whole.bytes };
}
