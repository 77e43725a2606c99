import { abortable, throwIfAborted } from '@vgg/errors';
import type { StreamOptions } from '../../format.js';
import type { ReadOptions, Source } from '../../source.js';
import { readInto } from '../../sources/read-into.js';
import { inflate } from '../inflate/index.js';
import { corrupt } from './value.js';

/** Bytes that are read one after another. */
export interface Bytes {
  /** How many were taken or skipped. */
  readonly at: number;
  /** The next `length` of them; what is unpacked comes in the memory `into`, of that length, where there is one. */
  take(length: number, options?: ReadOptions & { into?: Uint8Array }): Promise<Uint8Array>;
  skip(length: number, options?: ReadOptions): Promise<void>;
  /** Has the bytes checked, where this is their end and they have a sum. */
  finish(options?: ReadOptions): Promise<void>;
  close(): void;
}

/** Those of a source, counted from its start. */
export function sourceBytes(source: Source, start: number): Bytes {
  let at = start;
  return {
    get at() {
      return at;
    },
    async take(length, options) {
      const bytes = await source.read(at, length, options);
      at += length;
      return bytes;
    },
    async skip(length) {
      at += length;
    },
    async finish() {},
    close() {},
  };
}

/** Packed bytes read at a time. */
const BLOCK = 2 ** 20;

/** What a zlib stream (RFC 1950) that lies in a source unpacks to, counted from its start; no more is unpacked than is asked for. */
export function unpackedBytes(source: Source, start: number, size: number): Bytes {
  const who = source.name;
  const chunks = inflate(packedBlocks(source, start, size), {
    format: 'deflate',
    broken: (what) => corrupt(who, `a compressed variable ${what}`),
  });
  let rest: Uint8Array = new Uint8Array(0);
  let at = 0;

  async function eachPiece(length: number, { signal }: ReadOptions, use: (piece: Uint8Array, at: number) => void): Promise<void> {
    for (let done = 0; done < length; ) {
      if (rest.length === 0) rest = (await next(signal)) ?? rest;
      if (rest.length === 0) throw corrupt(who, 'a compressed variable ends early');
      const piece = rest.subarray(0, length - done);
      use(piece, done);
      rest = rest.subarray(piece.length);
      done += piece.length;
      at += piece.length;
    }
  }

  async function next(signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    throwIfAborted(signal, who);
    const { done, value } = await abortable(chunks.next(), signal, who);
    return done ? undefined : value;
  }

  return {
    get at() {
      return at;
    },
    async take(length, { into = new Uint8Array(length), ...options } = {}) {
      await eachPiece(length, options, (piece, done) => into.set(piece, done));
      return into;
    },
    skip: (length, options = {}) => eachPiece(length, options, () => {}),
    async finish({ signal } = {}) {
      if (rest.length === 0) rest = (await next(signal)) ?? rest;
    },
    close() {
      chunks.return(undefined).catch(() => {});
    },
  };
}

async function* packedBlocks(source: Source, start: number, size: number): AsyncGenerator<Uint8Array> {
  const memory = new Uint8Array(Math.min(BLOCK, size));
  for (let at = 0; at < size; at += BLOCK) {
    const block = memory.subarray(0, Math.min(BLOCK, size - at));
    await readInto(source, block, start + at);
    yield block;
  }
}

/** A compressed variable, which can only be unpacked from its start. */
export interface PackedVariable {
  /** Its bytes from `start` to `end`, in pieces of `piece` bytes. */
  stream(start: number, end: number, piece: number, options: StreamOptions): AsyncIterable<Uint8Array>;
  close(): void;
}

/**
 * Tensors asked for in the order in which they lie are unpacked in one go: who ends leaves the place to the next, and only who wants what
 * lies before it begins again.
 */
export function packedVariable(open: () => Bytes): PackedVariable {
  let left: Bytes | undefined;
  return {
    async *stream(start, end, piece, { reuse, ...options }) {
      const memory = reuse ? new Uint8Array(Math.min(piece, end - start)) : undefined;
      let bytes: Bytes;
      if (left && left.at <= start) {
        bytes = left;
        left = undefined;
      } else {
        bytes = open();
      }
      let isWhole = false;
      try {
        await bytes.skip(start - bytes.at, options);
        isWhole = true;
        for (let at = start; at < end; at += piece) {
          isWhole = false;
          const length = Math.min(piece, end - at);
          const taken = await bytes.take(length, { ...options, ...(memory && { into: memory.subarray(0, length) }) });
          isWhole = true;
          yield taken;
        }
      } finally {
        if (isWhole) {
          left?.close();
          left = bytes;
        } else {
          bytes.close();
        }
      }
    },
    close() {
      left?.close();
      left = undefined;
    },
  };
}
