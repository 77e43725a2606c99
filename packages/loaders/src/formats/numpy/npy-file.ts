import { VggError } from '@vgg/errors';
import type { Format, TensorInfo, WeightFile } from '../../format.js';
import type { ReadOptions, Source } from '../../source.js';
import { cachedSource } from '../../sources/cached.js';
import { openObjectNpy } from '../pickle/object-npy.js';
import { contiguousTensor, weightFile } from '../tensors.js';
import { isNpy, NPY_START, type NpyHead, npyCount, npyHeadLength, parseNpyHead } from './npy.js';

/**
 * One NumPy array (numpy.lib.format, versions 1 to 3), a tensor of the file's name without its ending; or an array of Python objects, such
 * as the dictionaries of weights known as vgg16.npy and vgg19.npy.
 */
export const npy: Format = {
  id: 'npy',
  title: 'NumPy array',
  match: (head) => isNpy(head),
  open: openNpy,
};

async function openNpy(original: Source, options: ReadOptions = {}): Promise<WeightFile> {
  const source = cachedSource(original);
  const who = source.name;
  const head = await readNpyHead(source, who, options);
  const { content, start, littleEndian } = head;
  if (content.kind === 'objects') return openObjectNpy(original, start, who, options);
  const info = npyInfo(head, tensorName(who), source.size, who);
  return weightFile({
    format: 'npy',
    who,
    tensors: [contiguousTensor(info, source, start, littleEndian)],
    close: original.close?.bind(original),
  });
}

export async function readNpyHead(source: Source, who: string, options: ReadOptions): Promise<NpyHead> {
  const first = await source.read(0, Math.min(NPY_START, source.size), options);
  return parseNpyHead(await source.read(0, npyHeadLength(first, who), options), who);
}

/**
 * The tensor of a numeric array in a file or member of `size` bytes.
 * @throws VggError `VGG_FORMAT` if it is not numeric, `VGG_INTEGRITY` if its bytes are more or fewer than its shape says
 */
export function npyInfo(head: NpyHead, name: string, size: number, who: string): TensorInfo {
  const { content, shape, fortran, text } = head;
  if (content.kind !== 'numbers') {
    throw new VggError('VGG_FORMAT', `${who}: expected an array of numbers, received ${text.slice(0, 100)}`);
  }
  npyCount(head, content.dtype, size, who);
  const isReversed = fortran && shape.length > 1;
  return {
    name,
    shape,
    dtype: content.dtype,
    present: true,
    ...(isReversed && { axes: shape.map((_, axis) => shape.length - 1 - axis) }),
  };
}

function tensorName(file: string): string {
  return file.slice(Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1).replace(/\.npy$/i, '') || 'array';
}
