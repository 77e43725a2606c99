import { throwIfAborted, turn, VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import type { TensorInfo } from '../../format.js';
import { dequantizeInt8 } from '../../quantize.js';
import { shown } from '../../refusals.js';
import type { OpenOptions, RangeOptions, ReadOptions, Source } from '../../source.js';
import { contiguousTensor, PIECE, type StoredTensor } from '../tensors.js';
import { wholeRows } from './write.js';

/** Bytes asked for at a time of a tensor that is checked: few requests over a network, and no second copy of a large tensor. */
const STEP = 2 ** 24;

/** Where a tensor's bytes are, and what their sha256 is said to be. */
export interface Span {
  readonly info: TensorInfo;
  readonly offset: number;
  readonly sha256: string | undefined;
}

/** A tensor of a safetensors file: checked where its hash is known and `sha256` given, multiplied by the scale where there is one. */
export function spanTensor(
  source: Source,
  span: Span,
  { scale, sha256 }: { scale: Span | undefined; sha256: OpenOptions['sha256'] },
): StoredTensor {
  const scales = scale && spanTensor(source, scale, { scale: undefined, sha256 });
  const isChecked = sha256 !== undefined && span.sha256 !== undefined;
  if (!isChecked && !scales) return contiguousTensor(span.info, source, span.offset);
  const bare = (options: RangeOptions) =>
    pieces(source, span, scales ? (span.info.shape.at(-1) ?? 1) : 1, isChecked ? sha256 : undefined, options);
  const applied = async function* (options: RangeOptions) {
    const factors = await scales?.read?.(options);
    for await (const bytes of bare(options)) {
      yield factors
        ? dequantizeInt8(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length), factors)
        : toFloat32(bytes, span.info.dtype);
    }
  };
  const read = async (options: ReadOptions) => {
    const out = new Float32Array(countOf(span.info.shape, source.name));
    for (let attempt = 0; ; attempt++) {
      try {
        let at = 0;
        for await (const values of applied({ ...options, fresh: attempt > 0 })) {
          out.set(values, at);
          at += values.length;
        }
        return out;
      } catch (error) {
        if (!(error instanceof WrongHash) || attempt > 0) throw error;
      }
    }
  };
  // Values that were handed on cannot be taken back: what is to be checked is read whole.
  const stream = isChecked
    ? async function* (options: ReadOptions) {
        const values = await read(options);
        for (let at = 0; at < values.length; at += PIECE) yield values.subarray(at, at + PIECE);
      }
    : applied;
  return { info: span.info, read, stream };
}

class WrongHash extends VggError {}

/** The tensor's bytes in pieces of whole rows; after the last of them their hash is compared. */
async function* pieces(
  source: Source,
  { info, offset, sha256: expected }: Span,
  channels: number,
  sha256: OpenOptions['sha256'],
  options: RangeOptions,
): AsyncGenerator<Uint8Array> {
  const width = DTYPE_BYTES[info.dtype];
  const total = countOf(info.shape, source.name) * width;
  const row = channels * width;
  const step = Math.max(1, Math.floor((sha256 ? STEP : wholeRows(channels) * width) / row)) * row;
  const hash = sha256?.();
  for (let at = 0; at < total; at += step) {
    const bytes = await source.read(offset + at, Math.min(step, total - at), options);
    hash?.update(bytes);
    yield bytes;
    if (hash) await turn();
    throwIfAborted(options.signal, source.name);
  }
  const found = hash?.digest();
  if (found !== expected && hash) {
    throw new WrongHash(
      'VGG_INTEGRITY',
      `${source.name}: expected tensor ${shown(info.name)} with sha256 ${expected}, received ${found}; its bytes are corrupt, fetch the file again`,
    );
  }
}
