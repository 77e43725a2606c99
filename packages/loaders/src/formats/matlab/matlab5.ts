import { VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import type { Format, TensorInfo, WeightFile } from '../../format.js';
import { pastLimit, shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { cachedSource } from '../../sources/cached.js';
import { contiguousTensor, PIECE, type StoredTensor, weightFile } from '../tensors.js';
import { type PackedVariable, packedVariable, sourceBytes, unpackedBytes } from './bytes.js';
import { COMPRESSED, type Elements, MATRIX, readMatrix, readTag } from './elements.js';
import { MAX_RATIO, MAX_VARIABLES, UNPACKED_FREE } from './limits.js';
import { describeVariables } from './network.js';
import { corrupt, HEADER_TEXT, headerText, type MatValue } from './value.js';

/** Text, the place of a subsystem's data, the version and the order of bytes. */
const HEADER = 128;

/**
 * MATLAB 5 files (MAT-File Format, The MathWorks), compressed or not, such as MatConvNet's `imagenet-vgg-verydeep-16.mat`, whose layers are
 * named `conv1_1.weight` and so on and described in `graph`. In any other file each array of numbers is a tensor under its variable's name.
 *
 * A compressed variable is unpacked once when the file is opened, and again to read its tensors: in the file's order they all come from
 * one further pass.
 */
export const matlab5: Format = {
  id: 'matlab',
  title: 'MATLAB 5',
  match: (head) => head.length >= HEADER && byteOrder(head) !== undefined,
  open: openMatlab5,
};

/** Whether the file is little-endian, as the mark "MI" behind the version says when it is read as a number. */
function byteOrder(head: Uint8Array): boolean | undefined {
  const [a, b, c, d] = head.subarray(HEADER_TEXT + 8, HEADER);
  if (c === 0x49 && d === 0x4d && a === 0 && b === 1) return true;
  if (c === 0x4d && d === 0x49 && a === 1 && b === 0) return false;
  return undefined;
}

async function openMatlab5(original: Source, options: ReadOptions = {}): Promise<WeightFile> {
  const source = cachedSource(original);
  const who = source.name;
  const head = await source.read(0, HEADER, options);
  const littleEndian = byteOrder(head);
  if (littleEndian === undefined) throw new VggError('VGG_FORMAT', `${who}: expected a MATLAB 5 file, received other bytes`);
  const variables = new Map<string, MatValue>();
  const packed: PackedVariable[] = [];
  const closePacked = () => {
    for (const variable of packed) variable.close();
  };
  const spent = { values: 0, unpacked: 0 };
  const file = { who, littleEndian, spent, options };
  try {
    for (let at = HEADER, count = 1; at < source.size; count++) {
      if (count > MAX_VARIABLES) throw pastLimit(who, `at most ${MAX_VARIABLES} variables`);
      const plain = { ...file, isPacked: false, bytes: sourceBytes(source, at), store: storePlain(source, littleEndian) };
      const tag = await readTag(plain, source.size);
      const { name, value } = tag.type === COMPRESSED ? await readPacked(source, file, tag, packed) : await readPlain(plain, tag.type, tag);
      // An unnamed one at the end holds the data of objects.
      if (name !== '') {
        if (variables.has(name)) throw corrupt(who, `two variables have the name ${shown(name)}`);
        variables.set(name, value);
      }
      at = tag.next;
    }
    const { tensors, graph, metadata } = await describeVariables(variables, who, options);
    const text = headerText(head.subarray(0, HEADER_TEXT));
    return weightFile({
      format: 'matlab',
      who,
      tensors,
      metadata: new Map([['header', text], ...metadata]),
      ...(graph && { graph }),
      async close() {
        closePacked();
        await original.close?.();
      },
    });
  } catch (error) {
    closePacked();
    throw error;
  }
}

function storePlain(source: Source, littleEndian: boolean): Elements['store'] {
  return (info, at) => contiguousTensor(info, source, at, littleEndian);
}

async function readPlain(elements: Elements, type: number, tag: Parameters<typeof readMatrix>[1]): ReturnType<typeof readMatrix> {
  if (type !== MATRIX) throw corrupt(elements.who, `expected a variable, received an element of type ${type}`);
  return readMatrix(elements, tag);
}

type File = Pick<Elements, 'who' | 'littleEndian' | 'options'> & { spent: { values: number; unpacked: number } };

async function readPacked(
  source: Source,
  file: File,
  { start, size }: { start: number; size: number },
  packed: PackedVariable[],
): ReturnType<typeof readMatrix> {
  const { who, littleEndian, spent, options } = file;
  const open = () => unpackedBytes(source, start, size);
  const variable = packedVariable(open);
  const bytes = open();
  try {
    const store: Elements['store'] = (info, at) => packedTensor(info, variable, at, littleEndian);
    const elements = { ...file, isPacked: true, bytes, store };
    // What it says it unpacks to is checked before it is unpacked, and no more than that is.
    const tag = await readTag(elements, 2 ** 32);
    spent.unpacked += tag.next;
    const most = UNPACKED_FREE + MAX_RATIO * source.size;
    if (spent.unpacked > most) throw corrupt(who, `its ${source.size} bytes are said to unpack to more than ${most}`);
    if (tag.type !== MATRIX) throw corrupt(who, `expected a variable, received an element of type ${tag.type}`);
    const found = await readMatrix(elements, tag);
    await bytes.skip(tag.next - bytes.at, options);
    await bytes.finish(options);
    packed.push(variable);
    return found;
  } finally {
    bytes.close();
  }
}

function packedTensor(info: TensorInfo, variable: PackedVariable, at: number, littleEndian: boolean): StoredTensor {
  const width = DTYPE_BYTES[info.dtype];
  const bytes = countOf(info.shape, info.name) * width;
  return {
    info,
    async *stream(options) {
      for await (const piece of variable.stream(at, at + bytes, PIECE * width, options)) yield toFloat32(piece, info.dtype, littleEndian);
    },
  };
}
