import { VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import type { TensorInfo } from '../../format.js';
import { shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { contiguousTensor, PIECE, type StoredTensor, sequentialTensor } from '../tensors.js';
import type { NumpyArray } from './numpy.js';
import { corrupt, isBytes } from './values.js';

/** A pickled array of numbers as a tensor, which is read where it lies in the file. @throws VggError `VGG_FORMAT`, `VGG_INTEGRITY` */
export function arrayTensor(names: Pick<TensorInfo, 'name' | 'storedAs'>, array: NumpyArray, source: Source): StoredTensor {
  const who = `${source.name}: ${shown(names.name)}`;
  const { shape, type, isFortran, values } = array;
  if (!type.type) throw new VggError('VGG_FORMAT', `${who}: expected an array of numbers, received one of ${type.code.slice(0, 40)}`);
  if (!isBytes(values)) throw corrupt(who, 'its values are missing');
  const dtype = type.type;
  const axes = isFortran && shape.length > 1 ? { axes: shape.map((_, axis) => shape.length - 1 - axis) } : {};
  const info: TensorInfo = { ...names, shape, dtype, present: true, ...axes };
  const expected = countOf(shape, who) * DTYPE_BYTES[dtype];
  const check = (least: number, most: number) => {
    if (expected < least || expected > most) throw corrupt(who, `it has ${most} bytes where its shape [${shape}] takes ${expected}`);
  };
  if (!values.stored) {
    const { text = '' } = values;
    check(text.length, text.length);
    return contiguousTensor(info, textSource(text, who), 0, type.littleEndian);
  }
  const { offset, length } = values.stored;
  check(values.isUtf8 ? Math.ceil(length / 2) : length, length);
  return values.isUtf8
    ? transcodedTensor(info, source, offset, length, type.littleEndian)
    : contiguousTensor(info, source, offset, type.littleEndian);
}

/** Bytes that a short text stands for; they are made when they are asked for, since one text may be the values of many arrays. */
function textSource(text: string, who: string): Source {
  return {
    name: who,
    size: text.length,
    async read(offset, length) {
      return Uint8Array.from({ length }, (_, i) => {
        const code = text.charCodeAt(offset + i);
        if (code > 255) throw corrupt(who, 'its bytes are written as text that stands for none');
        return code;
      });
    },
  };
}

/** A tensor whose bytes are stored as UTF-8 text of the characters 0 to 255: one byte below 128, and two from there. */
function transcodedTensor(info: TensorInfo, source: Source, offset: number, length: number, littleEndian: boolean): StoredTensor {
  const who = `${source.name}: ${shown(info.name)}`;
  const expected = countOf(info.shape, who) * DTYPE_BYTES[info.dtype];
  const pieces = (options: ReadOptions) => transcode(source, offset, length, who, options);
  return {
    ...sequentialTensor(info, pieces, who, littleEndian),
    async read(options) {
      const out = new Uint8Array(expected);
      let at = 0;
      for await (const piece of pieces(options)) {
        if (at + piece.length > expected) throw corrupt(who, `it has more than the ${expected} bytes of its shape [${info.shape}]`);
        out.set(piece, at);
        at += piece.length;
      }
      if (at !== expected) throw corrupt(who, `it has ${at} bytes where its shape [${info.shape}] takes ${expected}`);
      return toFloat32(out, info.dtype, littleEndian);
    },
  };
}

async function* transcode(source: Source, offset: number, length: number, who: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < length; ) {
    const piece = await source.read(offset + at, Math.min(PIECE * 4, length - at), options);
    const last = piece.length - 1;
    let from = 0;
    let to = 0;
    let wrong = 0;
    // In place, as nothing written is longer than what is read; and without a branch, as no one could foretell which of two it takes.
    while (from < last) {
      const byte = piece[from]!;
      const next = piece[from + 1]!;
      const isTwo = byte >> 7;
      wrong |= -isTwo & (((byte & 0xfe) ^ 0xc2) | ((next & 0xc0) ^ 0x80));
      piece[to++] = (-isTwo & (((byte & 3) << 6) | (next & 0x3f))) | ((isTwo - 1) & byte);
      from += 1 + isTwo;
    }
    // The last byte may be the first of two: it is then read again, with its second.
    const isHalf = from === last && piece[last]! >= 0x80;
    if (from === last && !isHalf) piece[to++] = piece[last]!;
    if (wrong !== 0 || (isHalf && at + piece.length === length)) throw corrupt(who, 'its bytes are written as text that stands for none');
    at += isHalf ? last : piece.length;
    yield piece.subarray(0, to);
  }
}
