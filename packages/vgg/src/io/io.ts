import type { OutputFile, Patch, Source } from '@vgg/loaders';
import type { Skipped } from '../data/photographs.js';
import type { DecodeOptions } from '../pictures/images.js';
import type { Picture } from '../pictures/picture.js';

/** The few things that differ between Node and a page; `#io` picks `node.ts` or `web.ts`. */
export interface Io {
  readonly platform: 'node' | 'web';
  /** Opens what a user passed as weights or as a head: a path, URL, File, Blob, FileList, bytes. */
  openSource(from: SourceInput, options?: OpenOptions): Promise<Source>;
  /** Encoded bytes or a platform's own picture object (img, canvas, VideoFrame ...) to RGB pixels. */
  decode(image: unknown, options: DecodeOptions): Promise<Picture>;
  /** Writes a file under a temporary name and renames it when whole; in a page, offers it as a download. */
  writeFile(target: WriteTarget, chunks: Chunks, options?: WriteOptions): Promise<void>;
  /** The same for files that belong together; the last one names the others and is what `target` says, they are beside it. */
  writeFiles(target: WriteTarget, files: readonly OutputFile[], options?: WriteOptions): Promise<void>;
  /** A folder that files are kept in: a path; in a page a folder's handle, or the name of one in the site's own storage. */
  openFolder(target: WriteTarget): Promise<FileFolder>;
  /** The files of a folder of class folders; `undefined` for a file or an address. A page has no folders to list and throws `VGG_DATASET`. */
  listClassFolders(folder: string | URL, options?: { signal?: AbortSignal }): Promise<FolderListing | undefined>;
  /** A running hash. */
  hash(algorithm: HashAlgorithm): Hash;
  /** Where published weight files are kept between runs. */
  readonly cache: WeightCache;
  /** A setting from the environment (`VGG_MIRROR`, `VGG_OFFLINE`) or, in a page, from the URL (`?vgg-mirror=`). */
  setting(name: string): string | undefined;
}

export type SourceInput = string | URL | Blob | ArrayBuffer | Uint8Array | Iterable<File> | Source;
/** What is written, in order; patches come last. */
export type Chunks = AsyncIterable<Uint8Array | Patch> | Iterable<Uint8Array | Patch>;
export interface WriteOptions {
  signal?: AbortSignal;
  /** Make the folder where it is not there yet. */
  makeFolder?: boolean;
}
/**
 * Where a file is written: a path (in a page, the name of a download), a `file:` URL, or in a page a handle that the person chose: of the
 * file, or of a folder for formats of several files.
 */
export type WriteTarget = string | URL | FileHandle | FolderHandle;
/** A `FileSystemFileHandle`, by what is used of it, so that the types need no DOM. */
interface FileHandle {
  readonly name: string;
  createWritable(options?: { keepExistingData?: boolean }): Promise<unknown>;
}
/** A `FileSystemDirectoryHandle`. */
interface FolderHandle {
  readonly name: string;
  getFileHandle(name: string, options?: { create?: boolean }): Promise<unknown>;
  removeEntry(name: string): Promise<void>;
}
/** Tells bytes to be put over earlier ones from bytes that come next. */
export const isPatch = (chunk: Uint8Array | Patch): chunk is Patch => !(chunk instanceof Uint8Array);
export interface OpenOptions {
  fetch?: typeof fetch;
  signal?: AbortSignal;
}
export type HashAlgorithm = 'md5' | 'sha256' | 'sha384';
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
  /**
   * Bytes already kept of an unfinished download, to resume from; none for a new one. Until it is closed it is this caller's alone:
   * another caller, in another process too, waits for it.
   * @throws VggError `VGG_OUTPUT` if there is no room for `bytes`, or nowhere to keep them; `VGG_ABORTED` while waiting
   */
  partial(key: string, options?: { signal?: AbortSignal; bytes?: number }): Promise<PartialFile>;
  list(): Promise<{ key: string; bytes: number }[]>;
  remove(key: string): Promise<boolean>;
}

/** A folder that files are kept in, each whole or not at all. */
export interface FileFolder {
  /** For people. */
  readonly where: string;
  /** The names of the files in it; none where it is not there yet. */
  list(): Promise<string[]>;
  /** @throws VggError `VGG_NOT_FOUND` */
  open(name: string): Promise<Source>;
  /** In the place of a file of the same name. @throws VggError `VGG_OUTPUT`, `VGG_ABORTED`; the earlier file stays then */
  write(name: string, chunks: Chunks, options?: WriteOptions): Promise<void>;
  /** Does nothing where there is none. @throws VggError `VGG_OUTPUT` */
  remove(name: string): Promise<void>;
}

/** A file that is being downloaded. */
export interface PartialFile {
  readonly size: number;
  /** What the server said the bytes are of, as it was given to `restart`. */
  readonly validator: string | undefined;
  /** Forgets the bytes, and remembers the validator for those to come. */
  restart(validator?: string): Promise<void>;
  append(bytes: Uint8Array): Promise<void>;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Makes it a file of the cache, at once and as a whole. */
  finish(): Promise<Source>;
  /** Removes it without a trace. */
  discard(): Promise<void>;
  /** Keeps the bytes for another time and lets others have it; nothing after `finish` or `discard`. */
  close(): Promise<void>;
}

/** What lies below a folder of class folders. */
export interface FolderListing {
  readonly name: string;
  /** The folders directly in it, by name, empty ones too. */
  readonly folders: readonly string[];
  /** All files but dot files; `parts` is the path below the folder, `['ants', 'nested', '1.jpg']`. */
  readonly files: readonly { readonly image: string; readonly parts: readonly string[] }[];
  readonly skipped: readonly Skipped[];
}
