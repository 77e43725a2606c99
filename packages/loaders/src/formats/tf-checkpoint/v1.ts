import { VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES } from '../../dtype.js';
import type { DType, TensorInfo } from '../../format.js';
import { pastLimit, shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { crc32c } from '../crc.js';
import { varintValues } from '../protobuf/values.js';
import { corrupt, type Field, fields, fieldsOf, packedVarints, utf8 } from '../protobuf/wire.js';
import { contiguousTensor, missingTensor, type StoredTensor } from '../tensors.js';
import { DTYPES, MAX_ENTRIES, readShape } from './bundle.js';
import { type Block, checkTrailer, type Entry, entries, readTrailer } from './table.js';

/**
 * Checkpoints of TensorFlow before 0.12, such as tf-slim's `vgg_16.ckpt`: the table holds the tensors themselves
 * (tensorflow/core/util/saved_tensor_slice.proto). Under the key '' is a list of them, under the others their values.
 */

/** The list: a VGG's has 2 KB. */
const MAX_META = 16 * 2 ** 20;
/** Values of integers and halves are numbers of varying length, which have to be read one after another. */
const MAX_UNPACKED = 2 ** 20;
/** Bytes of a name. */
const MAX_NAME = 4096;

interface Listed {
  readonly dtype: DType | undefined;
  readonly shape: readonly number[];
  /** A variable that was cut into parts has several. */
  readonly slices: number;
}

/** Where the values of a tensor are. */
interface Values {
  readonly field: number;
  readonly start: number;
  readonly end: number;
}

/** The tensors of a checkpoint of the first version. With `check` a block's sum is checked when a tensor in it is read. */
export async function readFirstVersion(
  source: Source,
  blocks: readonly Block[],
  options: ReadOptions,
  check: boolean,
): Promise<StoredTensor[]> {
  let listed: Map<string, Listed> | undefined;
  const found = new Map<string, { values: Values; block: Block }>();
  let count = 0;
  for await (const entry of entries(source, blocks, options)) {
    if (++count > MAX_ENTRIES) throw pastLimit(source.name, `at most ${MAX_ENTRIES} entries`);
    if (entry.key === '') {
      listed = await readList(source, entry, options);
      continue;
    }
    const { name, values } = await readSlice(source, entry, options);
    if (listed && !listed.has(name)) throw corrupt(source.name, `values of ${shown(name)}, which it does not list`);
    // Of a variable in parts there are several; it is not served.
    if (values) found.set(name, { values, block: entry.block });
  }
  if (!listed) throw corrupt(source.name, 'it lists no tensors');
  return [...listed].flatMap(([name, { dtype, shape, slices }]) => {
    if (!dtype) return []; // texts and the like
    const info = { name, shape, dtype };
    if (slices > 1) return [missingTensor(info, `it was saved in ${slices} parts; save it with TensorFlow 1 or later, unpartitioned`)];
    const place = found.get(name);
    if (!place) throw corrupt(source.name, `no values of ${shown(name)}`);
    const tensor = tensorOf(source, { ...info, present: true }, place.values);
    return [check ? checked(source, tensor, place.block) : tensor];
  });
}

/** SavedTensorSlices.meta 1: SavedTensorSliceMeta.tensor 1: name 1, shape 2, type 3, slice 4. */
async function readList(source: Source, { start, end }: Entry, options: ReadOptions): Promise<Map<string, Listed>> {
  if (end - start > MAX_META) throw pastLimit(source.name, `a list of at most ${MAX_META} bytes`);
  const bytes = await source.read(start, end - start, options);
  const listed = new Map<string, Listed>();
  for (const meta of inside(bytes, 1, source)) {
    for (const tensor of inside(meta, 1, source)) {
      let name = '';
      let type = 0;
      let shape: number[] = [];
      let slices = 0;
      for (const { number, value, start: from, end: to } of fieldsOf(tensor, source.name)) {
        if (number === 1) name = utf8(tensor.subarray(from, to));
        else if (number === 2) shape = readShape(tensor.subarray(from, to), source.name);
        else if (number === 3) type = value;
        else if (number === 4) slices++;
      }
      if (listed.has(name)) throw corrupt(source.name, `${shown(name)} is listed twice`);
      countOf(shape, `${source.name}: tensor ${shown(name)}`);
      listed.set(name, { dtype: DTYPES.get(type), shape, slices });
    }
  }
  return listed;
}

/** The messages in a field of a message. */
function* inside(message: Uint8Array, field: number, source: Source): Generator<Uint8Array> {
  for (const { number, type, start, end } of fieldsOf(message, source.name)) {
    if (number === field && type === 'bytes') yield message.subarray(start, end);
  }
}

/** SavedTensorSlices.data 2: SavedSlice: name 1, slice 2, data 3: TensorProto, whose values are in a field of their type. */
async function readSlice(source: Source, entry: Entry, options: ReadOptions): Promise<{ name: string; values: Values | undefined }> {
  let name = '';
  let values: Values | undefined;
  const each = (at: { start: number; end: number }): AsyncGenerator<Field> => fields(source, at.start, at.end, options);
  for await (const data of each(entry)) {
    if (data.number !== 2 || data.type !== 'bytes') continue;
    for await (const part of each(data)) {
      if (part.number === 1 && part.type === 'bytes') {
        if (part.end - part.start > MAX_NAME) throw pastLimit(source.name, `a name of at most ${MAX_NAME} bytes`);
        name = utf8(await source.read(part.start, part.end - part.start, options));
      }
      if (part.number !== 3 || part.type !== 'bytes') continue;
      for await (const { number, type, start, end } of each(part)) {
        if (VALUE_FIELDS.has(number) && type === 'bytes') values = { field: number, start, end };
      }
    }
  }
  return { name, values };
}

/** The fields of a TensorProto (tensorflow/core/framework/tensor.proto) that hold values, as they are or as numbers of varying length. */
const PLAIN: ReadonlyMap<number, readonly DType[]> = new Map([
  [5, ['float32']],
  [6, ['float64']],
]);
const TENSOR_CONTENT = 4;
const VARYING: ReadonlyMap<number, readonly DType[]> = new Map([
  [7, ['int32', 'uint8', 'int16', 'int8', 'uint16']],
  [10, ['int64']],
  [11, ['bool']],
  [13, ['float16', 'bfloat16']],
  [16, ['uint32']],
]);
const VALUE_FIELDS = new Set([TENSOR_CONTENT, ...PLAIN.keys(), ...VARYING.keys()]);

function tensorOf(source: Source, info: TensorInfo, { field, start, end }: Values): StoredTensor {
  const who = `${source.name}: tensor ${shown(info.name)}`;
  const count = countOf(info.shape, who);
  if (VARYING.get(field)?.includes(info.dtype)) {
    if (end - start > MAX_UNPACKED * 10) throw pastLimit(who, `at most ${MAX_UNPACKED} numbers`);
    return {
      info,
      async *stream(options) {
        yield decode(await source.read(start, end - start, options), info.dtype, count, who);
      },
    };
  }
  const needed = count * DTYPE_BYTES[info.dtype];
  if (field !== TENSOR_CONTENT && !PLAIN.get(field)?.includes(info.dtype)) throw corrupt(who, `its ${info.dtype} are in field ${field}`);
  if (end - start !== needed) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected ${needed} bytes of ${info.dtype} [${info.shape}], received ${end - start}`);
  }
  return contiguousTensor(info, source, start);
}

function decode(bytes: Uint8Array, dtype: DType, count: number, who: string): Float32Array {
  const values = packedVarints(bytes, who);
  if (values.length !== count) throw corrupt(who, `${values.length} numbers for ${count}`);
  return varintValues(values, dtype);
}

/** Bytes summed at a time. */
const STEP = 4 * 2 ** 20;

/** A tensor whose values are given only where the sum of the whole block is right: it is the block's largest by far. */
function checked(source: Source, tensor: StoredTensor, block: Block): StoredTensor {
  async function checkAll(options: ReadOptions): Promise<void> {
    let sum = 0;
    for (let at = block.start; at < block.end; at += STEP)
      sum = crc32c(await source.read(at, Math.min(STEP, block.end - at), options), sum);
    checkTrailer(source, await readTrailer(source, block, options), sum);
  }
  const { info, read } = tensor;
  return {
    info,
    ...(read && {
      async read(options: ReadOptions) {
        await checkAll(options);
        return read(options);
      },
    }),
    async *stream(options) {
      await checkAll(options);
      yield* tensor.stream(options);
    },
  };
}
