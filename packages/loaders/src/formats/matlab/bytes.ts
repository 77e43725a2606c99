import { abortable, isVggError, throwIfAborted, turn } from '@vgg/errors';
import type { ReadOptions, Source } from '../../source.js';
import { corrupt } from './value.js';

/** Bytes that are read one after another. */
export interface Bytes {
  /** How many were taken or skipped. */
  readonly at: number;
  take(length: number, options?: ReadOptions): Promise<Uint8Array>;
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
/** Packed bytes unpacked at a time: an engine unpacks all that it is given at once, to a thousand times as much at worst. */
const STEP = 64 * 1024;

/** What a zlib stream (RFC 1950) that lies in a source unpacks to, counted from its start; no more is unpacked than is asked for. */
export function unpackedBytes(source: Source, start: number, size: number): Bytes {
  const who = source.name;
  const { readable, writable } = new DecompressionStream('deflate');
  const reader = readable.getReader();
  const writer = writable.getWriter();
  writer.closed.catch(() => {}); // what goes wrong is told by the reading
  let block: Uint8Array = new Uint8Array(0);
  let inBlock = 0;
  let packed = 0;
  let isClosed = false;
  let writing: Promise<unknown> | undefined;
  let reading: Promise<ReadableStreamReadResult<Uint8Array>> | undefined;
  let rest: Uint8Array = new Uint8Array(0);
  let at = 0;

  async function write(): Promise<void> {
    if (inBlock === block.length && packed < size) {
      block = await source.read(start + packed, Math.min(BLOCK, size - packed));
      packed += block.length;
      inBlock = 0;
    }
    const piece = block.slice(inBlock, inBlock + STEP);
    inBlock += piece.length;
    if (piece.length > 0) await writer.write(piece);
    else {
      isClosed = true;
      await writer.close();
    }
  }

  /**
   * The next piece of what is unpacked. More is written only when all that was written has come out: piped, Node unpacks as fast as it can
   * and keeps what nobody has asked for.
   */
  async function unpack(): Promise<Uint8Array | undefined> {
    let arrived: ReadableStreamReadResult<Uint8Array> | undefined;
    reading ??= reader.read();
    const read = reading.then((result) => {
      arrived = result;
    });
    read.catch(() => {}); // whichever fails first is told
    while (!arrived) {
      if (isClosed) await read;
      else {
        writing ??= write();
        writing.catch(() => {});
        await Promise.race([read, writing]);
        if (arrived) break;
        writing = undefined;
        await turn(); // what was written comes out in this one
      }
    }
    reading = undefined;
    return arrived.value;
  }

  async function eachPiece(length: number, options: ReadOptions, use: (piece: Uint8Array, at: number) => void): Promise<void> {
    for (let done = 0; done < length; ) {
      if (rest.length === 0) rest = await next(options);
      const piece = rest.subarray(0, length - done);
      use(piece, done);
      rest = rest.subarray(piece.length);
      done += piece.length;
      at += piece.length;
    }
  }

  async function next({ signal }: ReadOptions): Promise<Uint8Array> {
    const piece = await nextOrEnd(signal);
    if (!piece) throw corrupt(who, 'a compressed variable ends early');
    return piece;
  }

  async function nextOrEnd(signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    throwIfAborted(signal, who);
    try {
      return await abortable(unpack(), signal, who);
    } catch (error) {
      if (isVggError(error)) throw error;
      throw corrupt(who, 'a compressed variable does not unpack');
    }
  }

  return {
    get at() {
      return at;
    },
    async take(length, options = {}) {
      const out = new Uint8Array(length);
      await eachPiece(length, options, (piece, done) => out.set(piece, done));
      return out;
    },
    skip: (length, options = {}) => eachPiece(length, options, () => {}),
    async finish({ signal } = {}) {
      if (rest.length === 0) rest = (await nextOrEnd(signal)) ?? rest;
    },
    close() {
      reader.cancel().catch(() => {});
      writer.abort().catch(() => {});
    },
  };
}

/** A compressed variable, which can only be unpacked from its start. */
export interface PackedVariable {
  /** Its bytes from `start` to `end`, in pieces of `piece` bytes. */
  stream(start: number, end: number, piece: number, options: ReadOptions): AsyncIterable<Uint8Array>;
  close(): void;
}

/**
 * Tensors asked for in the order in which they lie are unpacked in one go: who ends leaves the place to the next, and only who wants what
 * lies before it begins again.
 */
export function packedVariable(open: () => Bytes): PackedVariable {
  let left: Bytes | undefined;
  return {
    async *stream(start, end, piece, options) {
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
          const taken = await bytes.take(Math.min(piece, end - at), options);
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
