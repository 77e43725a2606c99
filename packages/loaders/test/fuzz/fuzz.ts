import { isVggError } from '@vgg/errors';
import { canonicalise, describeShapes, openWeights, type Source } from '../../src/index.js';
import { random } from '../random.js';
import { table } from '../vgg.js';

/** Files are made of bytes that strangers chose: whatever these are, a reader answers with values or with a VggError, soon and in little memory. */

export interface Outcome {
  opened: number;
  refused: number;
}

/** Values that a mutated file of a few KB may give: what deflate can unpack of it, and no more. */
const MAX_VALUES = 2 ** 24;

/**
 * Opens a file, looks for a network in it and reads every tensor, at once and in pieces.
 * @throws Error if a reader throws anything but a VggError of one sentence, or gives more values than the file can hold
 */
export async function attempt(make: () => Source, outcome: Outcome, label: () => string): Promise<void> {
  try {
    const file = await openWeights(make());
    try {
      let total = 0;
      for (const { name, present } of file.tensors.values()) {
        if (!present || total > MAX_VALUES) continue;
        total += await valuesOf(() => file.read(name).then((values) => values.length));
        total += await valuesOf(async () => {
          let streamed = 0;
          for await (const piece of file.stream(name)) streamed += piece.length;
          return streamed;
        });
      }
      if (total > 2 * MAX_VALUES) throw new Error(`${total} values out of a small file`);
      const widths = [
        [2, 3],
        [4, 5],
      ];
      await valuesOf(async () => describeShapes(file).convs.length);
      await valuesOf(async () => canonicalise(file, table(widths, { side: 2, dense: [4] })).missing.length);
    } finally {
      await file.close();
    }
    outcome.opened++;
  } catch (error) {
    if (!isVggError(error)) throw new Error(`${label()}: ${error instanceof Error ? error.stack : error}`);
    if (error.message.includes('\n')) throw new Error(`${label()}: more than one line: ${error.message}`);
    outcome.refused++;
  }
}

/** A clean error is an answer too. */
async function valuesOf(work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!isVggError(error)) throw error;
    return 0;
  }
}

/** Numbers at which sums and products go wrong. */
const ODD_NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 2 ** 33, 2 ** 53, 2 ** 62];

/** Changes one to four places: single bytes and bits, whole numbers of odd values, runs, pieces copied, cut out or put in twice. */
export function mutate(bytes: Uint8Array, next: () => number): Uint8Array {
  let out = bytes.slice();
  const below = (limit: number) => Math.floor(next() * limit);
  for (let changes = 1 + below(4); changes > 0 && out.length > 0; changes--) {
    const at = below(out.length);
    const kind = next();
    if (kind < 0.3) out[at] = below(256);
    else if (kind < 0.45) out[at]! ^= 1 << below(8);
    else if (kind < 0.6) writeNumber(out, at, ODD_NUMBERS[below(ODD_NUMBERS.length)]!, [1, 2, 4, 8][below(4)]!, next() < 0.8);
    else if (kind < 0.67) writeNumber(out, at, below(out.length * 2), [2, 4, 8][below(3)]!, next() < 0.8);
    else if (kind < 0.74) out.fill(255, at, at + 1 + below(8));
    else if (kind < 0.8) out.fill(0, at, at + 1 + below(8));
    else if (kind < 0.9) out.copyWithin(at, below(out.length), below(out.length));
    else if (kind < 0.95) out = spliced(out, at, at + 1 + below(16), new Uint8Array(0));
    else out = spliced(out, at, at, out.slice(at, at + 1 + below(16)));
  }
  return next() < 0.1 ? out.slice(0, below(out.length)) : out;
}

function writeNumber(out: Uint8Array, at: number, value: number, width: number, littleEndian: boolean): void {
  for (let i = 0; i < width && at + i < out.length; i++) {
    const power = littleEndian ? i : width - 1 - i;
    out[at + i] = Math.floor(value / 256 ** power) % 256;
  }
}

function spliced(bytes: Uint8Array, start: number, end: number, inserted: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(start + inserted.length + Math.max(0, bytes.length - end));
  out.set(bytes.subarray(0, start));
  out.set(inserted, start);
  out.set(bytes.subarray(end), start + inserted.length);
  return out;
}

/** The `index`-th mutation of a run: it depends on nothing but the seed, the format and the index. */
export function mutation(seeds: readonly Uint8Array[], seed: number, index: number): Uint8Array {
  const next = random(seed * 1_000_003 + index);
  return mutate(seeds[Math.floor(next() * seeds.length)]!, next);
}
