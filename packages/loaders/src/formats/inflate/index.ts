import { turn } from '@vgg/errors';
import { crc32 } from '../crc.js';
import { AHEAD, MAX_COPY, STEP, type State, unpackBlock, WINDOW } from './block.js';
import { type Codes, dynamicCodes, fixedCodes, HEAD, take } from './codes.js';

/** Bytes unpacked at a time. */
const PIECE = 2 ** 16;
/** Packed bytes looked at together. */
const INPUT = 2 ** 16;
/** Bytes unpacked between two turns of the event loop: some 10 ms. */
const STRETCH = 2 ** 20;
/** Adler-32's modulus, and how many bytes are added up before it is needed (RFC 1950). */
const ADLER = 65521;
const ADLER_RUN = 5552;

export interface InflateOptions {
  /** zlib (RFC 1950) or gzip (RFC 1952), whose checksums are looked at, or the bare stream within (RFC 1951). */
  readonly format: 'deflate' | 'deflate-raw' | 'gzip';
  /** The error for bytes of which this is wrong: `does not unpack`, `ends early`. */
  readonly broken: (what: string) => Error;
  /** What an earlier stream, which is over, was unpacked with. */
  readonly memory?: InflateMemory;
}

export interface InflateMemory {
  readonly input: Uint8Array<ArrayBuffer>;
  readonly window: Uint8Array<ArrayBuffer>;
  /** Bytes unpacked since the last turn of the event loop. */
  stretch: number;
}

export function inflateMemory(): InflateMemory {
  return { input: new Uint8Array(INPUT + HEAD), window: new Uint8Array(WINDOW + PIECE), stretch: 0 };
}

/**
 * Deflate (RFC 1951), unpacked as it is asked for, in pieces of up to 64 KiB that hold their bytes until the next is asked for.
 *
 * It is our own since the engine's DecompressionStream unpacks without a bound what nobody has asked for, and each leaves garbage behind:
 * for a file of many small streams, as HDF5 has them, a hundred megabytes in Node.
 *
 * @throws what `broken` makes, and what `packed` throws
 */
export async function* inflate(
  packed: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { format, broken, memory = inflateMemory() }: InflateOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { input, window } = memory;
  const state: State = { input, at: 0, end: -1, bits: 0, count: 0, window, to: WINDOW, oldest: WINDOW };
  const pieces = Symbol.asyncIterator in packed ? packed[Symbol.asyncIterator]() : packed[Symbol.iterator]();
  let piece: Uint8Array = new Uint8Array(0);
  let size = 0; // of the input
  let isAll = false; // whether the input ends where the packed bytes do
  let sum = format === 'gzip' ? 0 : 1;
  let length = 0; // of what is unpacked, modulo 2^32

  const early = () => broken('ends early');
  const wrong = () => broken('does not unpack');

  /** Moves what is left of the input to its beginning and puts some more behind it; whole bytes among the bits may be given back. */
  async function fill(): Promise<void> {
    if (isAll) throw early();
    while (piece.length === 0 && !isAll) {
      const next = await pieces.next();
      isAll = next.done === true;
      if (!next.done) piece = next.value;
    }
    const kept = state.count >> 3;
    input.copyWithin(0, state.at - kept, size);
    size -= state.at - kept;
    state.at = kept;
    const part = piece.subarray(0, INPUT - size);
    input.set(part, size);
    piece = piece.subarray(part.length);
    size += part.length;
    // Behind the last byte there are zeros, so that no one has to look for the end at each bit; some bits are always read ahead.
    if (isAll) input.fill(0, size, size + HEAD);
    state.end = isAll ? size + AHEAD : size - STEP;
  }

  const need = async (bytes: number) => {
    while (size - state.at < bytes && !isAll) await fill();
  };

  /** Whether no more bits were taken than there are. */
  const isInside = () => state.at - (state.count >> 3) <= size;

  /** What is unpacked since the last time; the window then holds what copies may reach back to. */
  async function* out(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const { to } = state;
    if (to === WINDOW) return;
    const made = window.subarray(WINDOW, to);
    if (format === 'deflate') sum = adler32(made, sum);
    if (format === 'gzip') {
      sum = crc32(made, sum);
      length = (length + made.length) >>> 0;
    }
    yield made;
    window.copyWithin(0, to - WINDOW, to);
    state.oldest = Math.max(0, state.oldest - (to - WINDOW));
    state.to = WINDOW;
    memory.stretch += made.length;
    if (memory.stretch < STRETCH) return;
    memory.stretch = 0;
    await turn();
  }

  /** Drops the bits up to the next whole byte. */
  const align = () => {
    state.at -= state.count >> 3;
    state.bits = 0;
    state.count = 0;
  };

  async function* stored(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    align();
    await need(4);
    const [length, check] = [take(state, 16), take(state, 16)];
    if (!isInside()) throw early();
    if ((length ^ check) !== 0xffff) throw wrong();
    for (let left = length; left > 0; ) {
      if (state.to === window.length || state.at === size) yield* out();
      if (state.at === size) await fill();
      const part = input.subarray(state.at, Math.min(size, state.at + Math.min(left, window.length - state.to)));
      window.set(part, state.to);
      state.to += part.length;
      state.at += part.length;
      left -= part.length;
    }
  }

  async function* coded(codes: Codes): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (let isEnd = false; !isEnd; ) {
      const ended = unpackBlock(state, codes);
      if (!isInside()) throw early();
      if (ended === undefined) throw wrong();
      isEnd = ended;
      if (state.to > window.length - MAX_COPY) yield* out();
      else if (!isEnd) {
        yield* out();
        await fill();
      }
    }
  }

  async function* blocks(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (let isLast = false; !isLast; ) {
      await need(HEAD);
      isLast = take(state, 1) === 1;
      const type = take(state, 2);
      if (type === 0) yield* stored();
      else {
        const codes = type === 1 ? fixedCodes() : type === 2 ? dynamicCodes(state) : undefined;
        if (!isInside()) throw early();
        if (!codes) throw wrong();
        yield* coded(codes);
      }
    }
    yield* out();
    align();
  }

  async function byte(): Promise<number> {
    await need(1);
    const value = take(state, 8);
    if (!isInside()) throw early();
    return value;
  }

  /** The next bytes as a number, the lowest first. */
  async function whole(bytes: number): Promise<number> {
    let value = 0;
    for (let i = 0; i < bytes; i++) value += (await byte()) * 2 ** (8 * i);
    return value;
  }

  async function zlibHead(): Promise<void> {
    const head = (await byte()) * 256 + (await byte());
    // Method 8, no preset dictionary, and a number that 31 divides.
    if (((head >> 8) & 15) !== 8 || head >> 12 > 7 || (head & 32) !== 0 || head % 31 !== 0) throw wrong();
  }

  /** RFC 1952, section 2.3: what it says of a file is passed over. */
  async function gzipHead(): Promise<void> {
    const [magic, method, flags] = [await whole(2), await byte(), await byte()];
    if (magic !== 0x8b1f || method !== 8 || flags > 31) throw wrong();
    await whole(6);
    if (flags & 4) for (let left = await whole(2); left > 0; left--) await byte();
    for (const text of [8, 16]) if (flags & text) while ((await byte()) !== 0);
    if (flags & 2) await whole(2);
  }

  /** One member after another; each is a stream of its own, whose copies reach back no further than its beginning. */
  async function* members(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    do {
      await gzipHead();
      state.oldest = state.to;
      sum = 0;
      length = 0;
      yield* blocks();
      if ((await whole(4)) !== sum || (await whole(4)) !== length) throw wrong();
      await need(1);
    } while (state.at < size);
  }

  try {
    if (format === 'gzip') yield* members();
    else {
      if (format === 'deflate') await zlibHead();
      yield* blocks();
    }
    if (format === 'deflate') {
      const stored = [await byte(), await byte(), await byte(), await byte()];
      if (stored.reduce((value, next) => value * 256 + next, 0) !== sum) throw wrong();
    }
    await need(1);
    if (state.at < size) throw broken('ends before its bytes do');
  } finally {
    await pieces.return?.();
  }
}

function adler32(bytes: Uint8Array, before: number): number {
  let low = before & 0xffff;
  let high = before >>> 16;
  for (let at = 0; at < bytes.length; ) {
    for (const end = Math.min(bytes.length, at + ADLER_RUN); at < end; at++) {
      low += bytes[at]!;
      high += low;
    }
    low %= ADLER;
    high %= ADLER;
  }
  return high * 2 ** 16 + low;
}
