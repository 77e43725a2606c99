import type { RawImage } from './raw.js';

/** What a picture is opened with. */
export interface OpenImageOptions {
  signal?: AbortSignal;
  /** More encoded bytes than these would be refused; what is opened may refuse them before it reads them. */
  maxBytes: number;
}

/**
 * A picture that is opened when its turn comes, so that a list of many needs the memory of a few: a member of an archive, a record of a
 * file. It may be opened several times, at once too.
 */
export interface DeferredImage {
  /** For messages and results, as the name of a File. */
  readonly name?: string;
  /** Its encoded bytes or raw pixels. */
  open(options: OpenImageOptions): Promise<ArrayBuffer | ArrayBufferView | Blob | RawImage>;
}

export function isDeferred(value: unknown): value is DeferredImage {
  return Object.prototype.toString.call(value) === '[object Object]' && typeof (value as Partial<DeferredImage>).open === 'function';
}
