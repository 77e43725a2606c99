/**
 * Random access to a file's bytes, wherever they are: a file handle, a Blob, HTTP Range requests, a buffer.
 * Readers of formats see nothing else, so each of them works in Node and in a page and reads only what it needs.
 */
export interface Source {
  /** The file's base name, for messages and for telling formats apart. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /** Whether asking for bytes or siblings goes over a network. */
  readonly remote?: boolean;
  /**
   * Exactly `length` bytes from `offset`, as a fresh copy that the caller may keep.
   * @throws VggError `VGG_INTEGRITY` if the range lies outside the file or the bytes end early; `VGG_ABORTED`
   */
  read(offset: number, length: number, options?: RangeOptions): Promise<Uint8Array>;
  /**
   * The same into memory that is there already, all of `target`: what is read in pieces then leaves no garbage behind. Without it, `read`
   * is used.
   */
  readInto?(target: Uint8Array, offset: number, options?: RangeOptions): Promise<void>;
  /** Another file of the same folder, by its plain base name; `undefined` where it does not exist. */
  sibling?(basename: string, options?: ReadOptions): Promise<Source | undefined>;
  /** Gives back what the source holds (a file handle). */
  close?(): Promise<void>;
}

export interface ReadOptions {
  signal?: AbortSignal;
}

export interface RangeOptions extends ReadOptions {
  /** From where the bytes come from, and not from what was kept of an earlier read, which turned out to be wrong. */
  fresh?: boolean;
}

/** A hash that bytes are added to. */
export interface RunningHash {
  update(bytes: Uint8Array): void;
  /** Lower-case hexadecimal. */
  digest(): string;
}

export interface OpenOptions extends ReadOptions {
  /**
   * Makes a running sha256. With it a format that tells the hash of each tensor, or of each file beside it, checks them as they are read: what
   * is wrong is asked for once more, then refused.
   */
  sha256?: () => RunningHash;
}
