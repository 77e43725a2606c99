import { blobSource, bytesSource, filesSource, type Source } from '@vgg/loaders';

/** The source over what a program holds already: bytes, a Blob, a set of Files, or a source as it is; undefined for anything else. */
export function heldSource(from: unknown): Source | undefined {
  if (from instanceof ArrayBuffer || from instanceof Uint8Array) return bytesSource(from);
  if (from instanceof Blob) return blobSource(from);
  if (typeof from !== 'object' || from === null) return undefined;
  if ('read' in from && typeof from.read === 'function' && 'size' in from) return from as Source;
  return Symbol.iterator in from ? filesSource(from as Iterable<File>) : undefined;
}
