import type { Reader } from '../bytes.js';

/** What the bytes of a picture file say before anything is decoded. */
export interface Header {
  /** In pixels, as stored: before any EXIF orientation. */
  readonly width: number;
  readonly height: number;
  /** Why no decoder of ours takes it, as the end of a sentence: `CMYK ...`. */
  readonly refused?: string;
}

/** What is known of one picture format; pixels are the platform decoder's business. */
export interface PictureFormat {
  readonly name: 'JPEG' | 'PNG' | 'GIF' | 'WebP' | 'AVIF';
  readonly mime: string;
  /** Looks at the first bytes. */
  matches(reader: Reader): boolean;
  /** `undefined` while the bytes do not reach that far. */
  header(reader: Reader): Header | undefined;
  /**
   * What is wrong with the file's structure, as the end of a sentence: `it ends in the middle of ...`.
   * Browsers show the good part of a truncated file without a word; this is what tells.
   */
  damage(reader: Reader): string | undefined;
  /** Where EXIF data (TIFF structures) start. */
  exif(reader: Reader): number[];
  /** Makes the copied bytes whole again after a change of their EXIF data, and clears what decoders disagree on. */
  settle?(bytes: Uint8Array): void;
  /** Whether {@link settle} has something to do. */
  unsettled?(reader: Reader): boolean;
}
