import { throwIfAborted, VggError } from '@vgg/errors';
import type { ReadOptions, Source } from '../../source.js';
import { MAX_TEXT } from './limits.js';
import { corrupt } from './values.js';

/** What one opcode takes at most: two lines or one text, and its length. */
const REACH = 2 * MAX_TEXT + 16;
/** Bytes read at a time: few after a jump, since the next one may be near, and then twice as many up to the second. */
const FIRST = 2 * REACH;
const LAST = 2 ** 18;

/** A place in a source, with the bytes behind it at hand. */
export class Window {
  readonly #source: Source;
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  /** Where the first of the bytes at hand is in the source. */
  #start: number;
  #at = 0;
  #size = FIRST;

  constructor(source: Source, offset: number) {
    this.#source = source;
    this.#start = offset;
  }

  get who(): string {
    return this.#source.name;
  }

  /** Where the next byte is in the source. */
  get position(): number {
    return this.#start + this.#at;
  }

  /** Whether one more opcode can be taken without reading. */
  get isReady(): boolean {
    return this.#at + REACH <= this.#bytes.length || this.#start + this.#bytes.length >= this.#source.size;
  }

  /** Reads on from the position. @throws VggError `VGG_INTEGRITY` if it is past the end, `VGG_ABORTED` */
  async fill(options: ReadOptions): Promise<void> {
    throwIfAborted(options.signal, this.who);
    const jumped = this.#at > this.#bytes.length;
    this.#size = jumped ? FIRST : Math.min(LAST, this.#size * 2);
    const start = this.position;
    const bytes = await this.#source.read(start, Math.min(this.#size, this.#source.size - start), options);
    this.#bytes = new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
    this.#view = new DataView(this.#bytes.buffer, bytes.byteOffset, bytes.length);
    this.#start = start;
    this.#at = 0;
  }

  uint8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A length, which cannot be past what a number holds: {@link skip} and {@link bytes} look at the rest. */
  uint64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  /** The only number that pickles have in big-endian order. */
  float64(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  /** Bytes that are valid until the next {@link fill}. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** The rest of the line, without its end. */
  line(): Uint8Array {
    const end = this.#bytes.indexOf(10, this.#at);
    const length = end < 0 ? this.#bytes.length - this.#at : end - this.#at;
    if (length > MAX_TEXT) {
      throw new VggError(
        'VGG_FORMAT',
        `${this.who}: expected lines of at most ${MAX_TEXT} bytes in its pickle, received a longer one; save it with protocol 2 or later`,
      );
    }
    if (end < 0) throw this.#cut(1);
    const line = this.bytes(length);
    this.#at++;
    return line;
  }

  /** Leaves out bytes that stay in the file, and says where they are. */
  skip(length: number): { offset: number; length: number } {
    const offset = this.position;
    this.expect(length);
    this.#at += length;
    return { offset, length };
  }

  /** @throws VggError `VGG_INTEGRITY` if the file has fewer bytes than this from here */
  expect(length: number): void {
    if (!(length <= this.#source.size - this.position)) throw this.#cut(length);
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) throw this.#cut(length);
    this.#at += length;
    return at;
  }

  #cut(length: number): VggError {
    return corrupt(this.who, `at byte ${this.position} it needs ${length} more, and the file ends at ${this.#source.size}`);
  }
}
