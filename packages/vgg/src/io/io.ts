import type { Source } from '@vgg/loaders';
import type { DecodeOptions } from '../images.js';
import type { Picture } from '../picture.js';

/** The few things that differ between Node and a page; `#io` picks `node.ts` or `web.ts`. */
export interface Io {
  readonly platform: 'node' | 'web';
  /** Opens what a user passed as weights or as a head: a path, URL, File, Blob, FileList, bytes. */
  openSource(from: SourceInput, options?: OpenOptions): Promise<Source>;
  /** Encoded bytes or a platform's own picture object (img, canvas, VideoFrame ...) to RGB pixels. */
  decode(image: unknown, options: DecodeOptions): Promise<Picture>;
  /** Writes a file under a temporary name and renames it when whole; in a page, offers it as a download. */
  writeFile(target: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void>;
  /** A running hash. */
  hash(algorithm: 'md5' | 'sha256' | 'sha384'): Hash;
  /** Where published weight files are kept between runs. */
  readonly cache: WeightCache;
  /** A setting from the environment (`VGG_BACKEND`) or, in a page, from the URL (`?vgg-backend=`). */
  setting(name: string): string | undefined;
}

export type SourceInput = string | URL | Blob | ArrayBuffer | Uint8Array | Iterable<File> | Source;
export interface OpenOptions {
  fetch?: typeof fetch;
  signal?: AbortSignal;
}
export interface Hash {
  update(bytes: Uint8Array): void;
  /** Lower-case hexadecimal. */
  digest(): string;
}
/** Files kept by name between runs; a file appears in it only when it is whole. */
export interface WeightCache {
  /** Where it is, for people. */
  readonly where: string;
  get(key: string): Promise<Source | undefined>;
  /** Bytes already kept of an unfinished download, to resume from. */
  partial(key: string): Promise<{ size: number; append(bytes: Uint8Array): Promise<void>; read(offset: number, length: number): Promise<Uint8Array>; finish(): Promise<Source>; discard(): Promise<void>; close(): Promise<void> }>;
  list(): Promise<{ key: string; bytes: number }[]>;
  remove(key: string): Promise<boolean>;
}
