import { viewOf } from '../../bytes.js';
import { pastLimit } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { type Field, fields, packedVarints, utf8 } from '../protobuf/wire.js';
import { ENTRY } from './schema.js';

/** All of the file but the weights that is read, and {@link FIELD} for each field that is passed: a VGG's is 30 KB, a large network's some MB. */
const MAX_INDEX = 16 * 2 ** 20;
/** What a field counts for, since passing one costs time even where it holds nothing; half a million of them are passed in a second. */
const FIELD = 32;
/** Longest name; PyTorch's longest are paths of modules, of some hundred letters. */
const MAX_NAME = 4096;

/** Where one reading of a file stands, so that a stranger's file cannot make it long. */
export interface Reading extends ReadOptions {
  readonly source: Source;
  /** Counts bytes that are read and kept. @throws VggError `VGG_INTEGRITY` past {@link MAX_INDEX} */
  keep(bytes: number): void;
}

export function beginReading(source: Source, options: ReadOptions): Reading {
  let kept = 0;
  return {
    ...options,
    source,
    keep(bytes) {
      kept += bytes;
      if (kept > MAX_INDEX) throw pastLimit(source.name, `at most ${MAX_INDEX} bytes beside the weights`);
    },
  };
}

/** The fields of a message, counted as read. */
export async function* walk(reading: Reading, start: number, end: number): AsyncGenerator<Field> {
  const { signal } = reading;
  for await (const field of fields(reading.source, start, end, signal ? { signal } : {})) {
    reading.keep(FIELD);
    yield field;
  }
}

/** A number of a list, or a packed list of them. Attributes are short: windows, pads, the sizes of a shape. */
export async function readFloats(reading: Reading, field: Field): Promise<number[]> {
  const bytes = await readShort(reading, field, MAX_NAME);
  const view = viewOf(bytes);
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => view.getFloat32(i * 4, true));
}

/** The same of whole numbers. */
export async function readInts(reading: Reading, field: Field): Promise<number[]> {
  return packedVarints(await readShort(reading, field, MAX_NAME), reading.source.name);
}

/** A key and its text. */
export async function readKeyValue(reading: Reading, message: Field, longest = MAX_NAME): Promise<[string, string]> {
  let key = '';
  let value = '';
  for await (const field of walk(reading, message.start, message.end)) {
    if (field.type !== 'bytes') continue;
    if (field.number === ENTRY.key) key = await readName(reading, field);
    else if (field.number === ENTRY.value) value = utf8(await readShort(reading, field, longest));
  }
  return [key, value];
}

export async function readName(reading: Reading, field: Field): Promise<string> {
  return utf8(await readShort(reading, field, MAX_NAME));
}

/** Whether a text is no longer than a name may be. */
export const isShort = ({ start, end }: Field): boolean => end - start <= MAX_NAME;

async function readShort(reading: Reading, { start, end }: Field, longest: number): Promise<Uint8Array> {
  if (end - start > longest) throw pastLimit(reading.source.name, `at most ${longest} bytes of text or numbers in one place`);
  reading.keep(end - start);
  const { signal } = reading;
  return end === start ? new Uint8Array(0) : reading.source.read(start, end - start, signal ? { signal } : {});
}
