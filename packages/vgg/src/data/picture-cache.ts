import type { Picture } from '../pictures/picture.js';
import type { Example } from './example.js';

/** Room for 80,000 pictures of 32 x 32. */
const MOST_BYTES = 256 * 2 ** 20;

/**
 * Decoded pictures of datasets that are gone through again and again. When it is full, what is in it stays and the rest is decoded anew: to
 * drop the oldest would drop what an epoch asks for next.
 */
export class PictureCache {
  readonly #pictures = new Map<Example, Picture>();
  #bytes = 0;

  /** @param most bytes of pixels; default 256 MiB */
  constructor(private readonly most = MOST_BYTES) {}

  /** Bytes of pixels that it holds. */
  get bytes(): number {
    return this.#bytes;
  }

  get(example: Example): Picture | undefined {
    return this.#pictures.get(example);
  }

  /** Keeps it if there is room; nobody may change its pixels from then on. */
  add(example: Example, { width, height, data }: Picture): void {
    if (this.#bytes + data.length > this.most || this.#pictures.has(example)) return;
    // A decoder may give a part of a larger buffer, which would be kept with it.
    const own = data.byteLength === data.buffer.byteLength ? data : data.slice();
    this.#pictures.set(example, { width, height, data: own });
    this.#bytes += data.length;
  }
}
