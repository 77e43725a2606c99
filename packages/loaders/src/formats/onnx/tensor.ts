import { VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import type { DType, TensorInfo } from '../../format.js';
import { pastLimit, shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { checkPlainName } from '../../sources/checks.js';
import { varintValues } from '../protobuf/values.js';
import { corrupt, type Field, fieldsOf, packedVarints } from '../protobuf/wire.js';
import type { Siblings } from '../siblings.js';
import { contiguousTensor, missingTensor, PIECE, type StoredTensor } from '../tensors.js';
import { type Reading, readInts, readKeyValue, readName, walk } from './reading.js';
import { DTYPES, TENSOR, typedList } from './schema.js';

/** A VGG's filters have four axes. */
const MAX_DIMS = 8;
/** Lists of numbers in pieces; a writer makes one, or a few where it streams. */
const MAX_RUNS = 1024;
/** Numbers that have a field each, as writers older than packed lists had them: more are slow and would need the tensor's bytes in memory. */
const MAX_LOOSE = 2 ** 18;
/** Of a whole number in a list. */
const MAX_VARINT = 10;

/** A TensorProto without its values. */
export interface Initialiser {
  readonly name: string;
  readonly shape: readonly number[];
  /** Undefined for the types that no weights have, such as text. */
  readonly dtype: DType | undefined;
  /** The number of the type in the file. */
  readonly type: number;
  readonly data: Data;
}

interface Run {
  readonly start: number;
  readonly end: number;
}

/** Where a tensor's values are. */
type Data =
  | { readonly kind: 'raw'; readonly run: Run | undefined }
  /** In lists of the type, one after another, and `loose` numbers apart in the message `of`. */
  | { readonly kind: 'typed'; readonly runs: readonly Run[]; readonly loose: number; readonly of: Run }
  | { readonly kind: 'external'; readonly location: string; readonly offset: number; readonly length: number | undefined }
  | { readonly kind: 'inline'; readonly values: readonly number[] };

/** Numbers that an attribute holds itself. */
export function inlineInitialiser(name: string, shape: readonly number[], values: readonly number[]): Initialiser {
  return { name, shape, dtype: 'float32', type: 1, data: { kind: 'inline', values } };
}

export async function readInitialiser(reading: Reading, message: Field): Promise<Initialiser> {
  const who = reading.source.name;
  const shape: number[] = [];
  const lists = new Map<number, { runs: Run[]; loose: number }>();
  const external = new Map<string, string>();
  let name = '';
  let type = 0;
  let raw: Run | undefined;
  let isExternal = false;
  for await (const field of walk(reading, message.start, message.end)) {
    const { number, type: wire, start, end } = field;
    if (number === TENSOR.dims && (wire === 'varint' || wire === 'bytes')) {
      shape.push(...(await readInts(reading, field)));
      if (shape.length > MAX_DIMS) throw pastLimit(reading.source.name, `at most ${MAX_DIMS} axes of a tensor`);
    } else if (number === TENSOR.dataType && wire === 'varint') type = field.value;
    else if (number === TENSOR.dataLocation && wire === 'varint') isExternal = field.value === 1;
    else if (number === TENSOR.name && wire === 'bytes') name = await readName(reading, field);
    else if (number === TENSOR.rawData && wire === 'bytes') raw = { start, end };
    else if (number === TENSOR.externalData && wire === 'bytes') external.set(...(await readKeyValue(reading, field)));
    else if (LISTS.has(number)) {
      const list = lists.get(number) ?? { runs: [], loose: 0 };
      lists.set(number, list);
      if (wire !== 'bytes') list.loose++;
      else if (end > start) list.runs.push({ start, end });
      if (list.runs.length > MAX_RUNS || list.loose > MAX_LOOSE)
        throw pastLimit(reading.source.name, `at most ${MAX_LOOSE} numbers apart in ${shown(name)}`);
    }
  }
  const dtype = DTYPES.get(type);
  countOf(shape, `${who}: tensor ${shown(name)}`);
  if (isExternal) return { name, shape, dtype, type, data: externalData(who, name, external) };
  const list = dtype && lists.get(typedList(dtype));
  if (raw || !list) return { name, shape, dtype, type, data: { kind: 'raw', run: raw } };
  const of = { start: message.start, end: message.end };
  return { name, shape, dtype, type, data: { kind: 'typed', ...list, of } };
}

const LISTS: ReadonlySet<number> = new Set([TENSOR.floatData, TENSOR.int32Data, TENSOR.int64Data, TENSOR.doubleData, TENSOR.uint64Data]);

function externalData(who: string, name: string, entries: ReadonlyMap<string, string>): Data {
  const location = entries.get('location') ?? '';
  checkPlainName(`${who}: the values of ${shown(name)}`, location);
  const whole = (key: string) => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value)) {
      throw new VggError(
        'VGG_INTEGRITY',
        `${who}: expected a whole number as the ${key} of ${shown(name)}, received ${JSON.stringify(text)}`,
      );
    }
    return value;
  };
  return { kind: 'external', location, offset: whole('offset') ?? 0, length: whole('length') };
}

/**
 * The values of a tensor, checked to be there as far as can be told without reading them.
 * @throws VggError `VGG_FORMAT` for a type that no weights have, `VGG_INTEGRITY` where bytes and shape differ
 */
export function initialiserTensor(initialiser: Initialiser, source: Source, siblings: Siblings): StoredTensor & { info: TensorInfo } {
  const { name, shape, dtype, data, type } = initialiser;
  const who = source.name;
  if (!dtype) {
    throw new VggError(
      'VGG_FORMAT',
      `${who}: expected ${shown(name)} to have floats or whole numbers of 8 bits and more, received type ${type}`,
    );
  }
  const info: TensorInfo = { name, shape, dtype, present: true };
  const count = countOf(shape, who);
  const width = DTYPE_BYTES[dtype];
  if (data.kind === 'inline') {
    return {
      info,
      async *stream() {
        yield Float32Array.from(data.values);
      },
    };
  }
  if (data.kind === 'raw') {
    const { start, end } = data.run ?? { start: 0, end: 0 };
    if (end - start !== count * width) throw wrongSize(initialiser, who, `${count * width} bytes`, `${end - start}`);
    return contiguousTensor(info, source, start);
  }
  if (data.kind === 'external') {
    const { location, offset, length } = data;
    const file = siblings.get(location);
    if (!file) return missingTensor({ name, shape, dtype }, `the file "${location}" that holds them is not beside it`);
    if (length !== undefined && length !== count * width)
      throw wrongSize(initialiser, who, `${count * width} bytes`, `a length of ${length}`);
    if (offset + count * width > file.size) {
      throw wrongSize(initialiser, who, `${location} to have ${offset + count * width} bytes`, `${file.size}`);
    }
    return contiguousTensor(info, file, offset);
  }
  return typedTensor(info, data, source, count);
}

function typedTensor(info: TensorInfo, { runs, loose, of }: Data & { kind: 'typed' }, source: Source, count: number): StoredTensor {
  const { dtype } = info;
  const who = source.name;
  const bytes = runs.reduce((sum, { start, end }) => sum + end - start, 0);
  const fixed = dtype === 'float32' || dtype === 'float64';
  const width = fixed ? DTYPE_BYTES[dtype] : 1;
  const least = Math.ceil(bytes / (fixed ? width : MAX_VARINT)) + loose;
  const most = bytes / width + loose;
  if (fixed ? most !== count : count < least || count > most) {
    throw wrongSize(info, who, `${count} values`, fixed ? `${most}` : `${least} to ${most}`);
  }
  // Numbers apart and in lists come in the order of the message; only the small ones are read whole.
  if (loose > 0) return looseTensor(info, source, of, count);
  if (fixed && runs.length === 1) return contiguousTensor(info, source, runs[0]!.start);
  return {
    info,
    async *stream(options) {
      let left = count;
      for (const run of runs) {
        for await (const values of fixed ? fixedRun(info, run, source, options) : varintRun(dtype, run, source, options)) {
          left -= values.length;
          if (left < 0) break;
          yield values;
        }
      }
      if (left !== 0) throw wrongSize(info, who, `${count} values`, left < 0 ? 'more' : `${count - left}`);
    },
  };
}

async function* fixedRun(info: TensorInfo, { start, end }: Run, source: Source, options: ReadOptions): AsyncIterable<Float32Array> {
  const values = (end - start) / DTYPE_BYTES[info.dtype];
  if (!Number.isInteger(values)) throw corrupt(source.name, `half a number in ${shown(info.name)}`);
  yield* contiguousTensor({ ...info, shape: [values] }, source, start).stream(options);
}

async function* varintRun(dtype: DType, { start, end }: Run, source: Source, options: ReadOptions): AsyncIterable<Float32Array> {
  for (let at = start; at < end; ) {
    const bytes = await source.read(at, Math.min(PIECE, end - at), options);
    let whole = bytes.length;
    if (at + whole < end) while (whole > bytes.length - MAX_VARINT && bytes[whole - 1]! >= 128) whole--; // up to the end of a number
    at += whole;
    yield varintValues(packedVarints(bytes.subarray(0, whole), source.name), dtype);
  }
}

/** Small tensors whose numbers have a field each: the message is read whole. */
function looseTensor(info: TensorInfo, source: Source, { start, end }: Run, count: number): StoredTensor {
  const { dtype } = info;
  const list = typedList(dtype);
  return {
    info,
    async *stream(options) {
      const message = await source.read(start, end - start, options);
      const out = new Float32Array(count);
      let at = 0;
      for (const field of fieldsOf(message, source.name)) {
        if (field.number !== list) continue;
        const bytes = message.subarray(field.start, field.end);
        const fixed = dtype === 'float32' || dtype === 'float64';
        const values = fixed ? toFloat32(bytes, dtype) : varintValues(packedVarints(bytes, source.name), dtype);
        if (at + values.length > count) throw wrongSize(info, source.name, `${count} values`, 'more');
        out.set(values, at);
        at += values.length;
      }
      if (at !== count) throw wrongSize(info, source.name, `${count} values`, `${at}`);
      yield out;
    },
  };
}

function wrongSize({ name }: { readonly name: string }, who: string, expected: string, received: string): VggError {
  return new VggError(
    'VGG_INTEGRITY',
    `${who}: expected ${expected} for the values of ${shown(name)}, received ${received}; fetch the file again`,
  );
}
