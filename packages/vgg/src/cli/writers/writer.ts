import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { messageOf, VggError } from '@vgg/errors';

/** One picture's values of one layer. */
export interface Row {
  readonly image: string;
  readonly layer: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A finished file. */
export interface Output {
  readonly layer: string;
  /** With all pictures along the first axis; for `.jsonl`, whose lines have a shape each, of one picture. */
  readonly shape: readonly number[];
  readonly file: string;
}

/** Writes features as they come; the file appears under its name only when it is whole. */
export interface FeatureWriter {
  /** @throws VggError `VGG_SHAPE` for a picture whose maps do not fit those before it; the file stays good */
  write(rows: readonly Row[]): Promise<void>;
  finish(): Promise<Output[]>;
  /** Leaves nothing behind; harmless after {@link finish}. */
  abandon(): Promise<void>;
}

/** A file under a temporary name beside its own, on the same disk, so that the renaming is one step. */
export class PendingFile {
  #handle: FileHandle | undefined;
  #position = 0;

  private constructor(
    readonly target: string,
    readonly path: string,
    handle: FileHandle,
  ) {
    this.#handle = handle;
  }

  static async create(target: string): Promise<PendingFile> {
    const path = `${target}.${randomBytes(4).toString('hex')}.tmp`;
    try {
      return new PendingFile(target, path, await open(path, 'wx+'));
    } catch (error) {
      throw new VggError('VGG_OUTPUT', `${target}: expected a place that can be written, received ${messageOf(error)}`, { cause: error });
    }
  }

  get size(): number {
    return this.#position;
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.writeAt(this.#position, bytes);
    this.#position += bytes.length;
  }

  async writeAt(position: number, bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        done += (await this.#open().write(bytes, done, bytes.length - done, position + done)).bytesWritten;
      }
    } catch (error) {
      throw new VggError('VGG_OUTPUT', `${this.target}: writing failed: ${messageOf(error)}`, { cause: error });
    }
  }

  /** The file's bytes so far, in pieces. */
  async *read(piece = 1 << 20): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < this.#position; ) {
      const bytes = new Uint8Array(Math.min(piece, this.#position - at));
      const { bytesRead } = await this.#open().read(bytes, 0, bytes.length, at);
      if (bytesRead === 0) throw new VggError('VGG_OUTPUT', `${this.target}: its temporary file was cut short by someone else`);
      at += bytesRead;
      yield bytes.subarray(0, bytesRead);
    }
  }

  async finish(): Promise<void> {
    const handle = this.#open();
    this.#handle = undefined;
    try {
      await handle.close();
      await rename(this.path, this.target);
    } catch (error) {
      await unlink(this.path).catch(() => {});
      throw new VggError('VGG_OUTPUT', `${this.target}: writing failed: ${messageOf(error)}`, { cause: error });
    }
  }

  async abandon(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    if (!handle) return;
    await handle.close().catch(() => {});
    await unlink(this.path).catch(() => {});
  }

  #open(): FileHandle {
    if (!this.#handle) throw new VggError('VGG_OUTPUT', `${this.target}: it is closed already`);
    return this.#handle;
  }
}

/** A row's values as the little-endian bytes that every format here stores. */
export const bytesOf = ({ data }: Row): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Checks a picture's maps against the first picture's. */
export function fitter(): (rows: readonly Row[], file: string) => void {
  const first = new Map<string, string>();
  return (rows, file) => {
    const odd = rows.find(({ layer, shape }) => (first.get(layer) ?? String(shape)) !== String(shape));
    if (odd) {
      throw new VggError(
        'VGG_SHAPE',
        `${odd.image}: its ${odd.layer} map is [${odd.shape}] and ${file} has maps of [${first.get(odd.layer)}]; pass --size to make pictures alike, or --out F.jsonl`,
      );
    }
    for (const { layer, shape } of rows) first.set(layer, String(shape));
  };
}
