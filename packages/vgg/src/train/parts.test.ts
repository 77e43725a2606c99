import { describe, expect, it } from 'vitest';
import { network } from '../network/architecture.js';
import type { Layer } from '../network/plan.js';
import { random } from '../random.js';
import { cheapestParts, type LearningMap, onePart } from './parts.js';

/** What is held at most with these cuts: part by part and layer by layer, by the definition. */
function heldWith(maps: readonly LearningMap[], cuts: readonly number[]): number {
  const ends = [...cuts, maps.length];
  const copies = ({ layer }: LearningMap) => layer.kind !== 'relu';
  const sum = (some: readonly LearningMap[]) => some.reduce((total, { output }) => total + output, 0);
  const moments = ends.flatMap((to, i) => {
    const from = ends[i - 1] ?? 0;
    const kept = sum(cuts.slice(0, i).map((cut) => maps[cut - 1]!)) + (to < maps.length ? maps[to - 1]!.output : 0);
    const part = maps.slice(from, to);
    return part.map((map, at) => (copies(map) ? kept + sum(part.slice(0, at + 1).filter(copies)) + map.input + map.output : kept));
  });
  return Math.max(...moments);
}

/** Every set of places to cut at; a ReLU stays with the layer before it. */
function everyWay(maps: readonly LearningMap[]): number[][] {
  const places = maps.flatMap(({ layer }, i) => (i > 0 && layer.kind !== 'relu' ? [i] : []));
  return Array.from({ length: 2 ** places.length }, (_, way) => places.filter((_, bit) => (way >> bit) & 1));
}

describe('cheapestParts', () => {
  it('holds as little as the best of all ways to cut, or a hundredth more', () => {
    const rng = random(11);
    for (let round = 0; round < 60; round++) {
      const sizes = Array.from({ length: 2 + rng.below(9) }, () => 1 + rng.below(round % 2 ? 5 : 1000));
      const maps = sizes.slice(1).map((output, i): LearningMap => {
        const isRelu = i > 0 && rng.below(3) === 0;
        return { layer: { kind: isRelu ? 'relu' : 'conv', name: `layer${i}` } as Layer, input: sizes[i]!, output };
      });
      expect(onePart(maps)).toEqual({ cuts: [], bytes: heldWith(maps, []) });
      const { cuts, bytes } = cheapestParts(maps);
      const places = cuts.map((name) => maps.findIndex(({ layer }) => layer.name === name) + 1);
      expect(heldWith(maps, places)).toBe(bytes);
      const least = Math.min(...everyWay(maps).map((way) => heldWith(maps, way)));
      expect(bytes).toBeLessThanOrEqual(1.011 * least);
    }
  });

  it('leaves a network in one part where parts hold no less', () => {
    const { layers } = network({ blocks: [[4]], classes: 2, size: 8 });
    const maps = layers.slice(0, 2).map((layer) => ({ layer, input: 6, output: 8 }));
    // Of the convolution with its ReLU: its map, and the gradients of both sides.
    expect(cheapestParts(maps)).toEqual({ cuts: [], bytes: 22 });
    expect(cheapestParts([])).toEqual({ cuts: [], bytes: 0 });
  });
});
