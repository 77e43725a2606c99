import { throwIfAborted, turn, VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import type { StreamOptions, TensorInfo } from '../../format.js';
import { dequantizeInt4 } from '../../palette.js';
import { dequantizeInt8 } from '../../quantize.js';
import { shown } from '../../refusals.js';
import type { OpenOptions, RangeOptions, ReadOptions, Source } from '../../source.js';
import { contiguousTensor, PIECE, type StoredTensor } from '../tensors.js';

/** Bytes asked for at a time of a tensor that is checked: few requests over a network, and no second copy of a large tensor. */
const STEP = 2 ** 24;
/** The same of int4, which becomes eight times as much. */
const INT4_STEP = 2 ** 21;

/** Where a tensor's bytes are, and what their sha256 is said to be. */
export interface Span {
  readonly info: TensorInfo;
  readonly offset: number;
  readonly sha256: string | undefined;
}

/**
 * A tensor of a safetensors file: checked where its hash is known and `sha256` given.
 * @param table the scales that int8 values are multiplied by where the file has them, or the palettes that int4 indices are of
 */
export function spanTensor(
  source: Source,
  span: Span,
  { table, sha256 }: { table: Span | undefined; sha256: OpenOptions['sha256'] },
): StoredTensor {
  const tables = table && spanTensor(source, table, { table: undefined, sha256 });
  const isChecked = sha256 !== undefined && span.sha256 !== undefined;
  if (!isChecked && !tables) return contiguousTensor(span.info, source, span.offset);
  const { dtype, shape } = span.info;
  const count = countOf(shape, source.name);
  const applied = async function* (options: StreamOptions & RangeOptions) {
    const factors = await tables?.read?.(options);
    let memory: Float32Array<ArrayBuffer> | undefined;
    let at = 0;
    for await (const bytes of pieces(source, span, stepOf(span.info, isChecked), isChecked ? sha256 : undefined, options)) {
      if (dtype === 'int4') {
        const length = Math.min(2 * bytes.length, count - at);
        const room = options.reuse ? memory?.subarray(0, length) : undefined; // the first piece is the longest
        memory = room ? memory : new Float32Array(length);
        yield dequantizeInt4(bytes, factors ?? new Float32Array(0), room ?? memory!, at);
        at += length;
      } else {
        yield factors ? dequantizeInt8(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length), factors) : toFloat32(bytes, dtype);
      }
    }
  };
  const read = async (options: ReadOptions) => {
    const out = new Float32Array(count);
    for (let attempt = 0; ; attempt++) {
      try {
        let at = 0;
        for await (const values of applied({ ...options, reuse: true, fresh: attempt > 0 })) {
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

/** Bytes at a time: of int8 whole rows, since each value of a row has a scale of its own. */
function stepOf({ dtype, shape }: TensorInfo, isChecked: boolean): number {
  if (dtype === 'int4') return isChecked ? INT4_STEP : PIECE;
  const row = (dtype === 'int8' ? Math.max(1, shape.at(-1) ?? 1) : 1) * DTYPE_BYTES[dtype];
  return Math.max(1, Math.floor((isChecked ? STEP : PIECE * DTYPE_BYTES[dtype]) / row)) * row;
}

/** The tensor's bytes in pieces; after the last of them their hash is compared. */
async function* pieces(
  source: Source,
  { info, offset, sha256: expected }: Span,
  step: number,
  sha256: OpenOptions['sha256'],
  options: RangeOptions,
): AsyncGenerator<Uint8Array> {
  const total = Math.ceil(countOf(info.shape, source.name) * DTYPE_BYTES[info.dtype]);
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
