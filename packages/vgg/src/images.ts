/** Rules for turning encoded bytes into pixels; the defaults are Pillow's. */
export interface DecodeOptions {
  /** Turn the picture as its EXIF orientation says; default false, as Pillow's and Keras's loaders. */
  orientation?: boolean;
  /** Most pixels a picture may have, against decompression bombs; default 100 million. */
  maxPixels?: number;
  /** Name for messages. */
  name?: string;
  signal?: AbortSignal;
}
