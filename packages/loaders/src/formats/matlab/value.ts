import type { VggError } from '@vgg/errors';
import { latin1 } from '../../bytes.js';
import type { DType, TensorInfo } from '../../format.js';
import { corruptFile } from '../../refusals.js';
import type { StoredTensor } from '../tensors.js';

/** A value of a MATLAB file, of either version, with its numbers still in the file. */
export type MatValue =
  | MatNumbers
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'cell'; readonly shape: readonly number[]; readonly items: readonly MatValue[] }
  /** One map of fields for each element of a struct array, the first axis fastest. */
  | { readonly kind: 'struct'; readonly shape: readonly number[]; readonly items: readonly ReadonlyMap<string, MatValue>[] }
  /** What we do not read, such as function handles, objects and complex numbers. */
  | { readonly kind: 'other'; readonly what: string };

export interface MatNumbers {
  readonly kind: 'numbers';
  /** As MATLAB says it: at least two axes, the first one fastest. */
  readonly shape: readonly number[];
  /** The type of what is stored, which may be narrower than MATLAB's class of it. */
  readonly dtype: DType;
  /** The values, the first axis fastest, of an array so small that it may be a setting. */
  readonly values?: readonly number[];
  /** Bytes that have to be read or unpacked to come to the values. */
  readonly cost: number;
  /** The values, or a run of them, as a tensor of a file. */
  store(info: TensorInfo): StoredTensor;
}

/** The fields of a struct that is no array of structs. */
export function structOf(value: MatValue | undefined): ReadonlyMap<string, MatValue> | undefined {
  return value?.kind === 'struct' && value.items.length === 1 ? value.items[0] : undefined;
}

/** A field of a struct within structs. */
export function field(value: MatValue | undefined, ...path: string[]): MatValue | undefined {
  return path.reduce<MatValue | undefined>((at, name) => structOf(at)?.get(name), value);
}

export const textOf = (value: MatValue | undefined): string | undefined => (value?.kind === 'text' ? value.text : undefined);

/** The values of a small array. */
export const settingOf = (value: MatValue | undefined): readonly number[] | undefined =>
  value?.kind === 'numbers' ? value.values : undefined;

/** All numbers of an array, such as weights; undefined for an empty one. */
export function weightsOf(value: MatValue | undefined): MatNumbers | undefined {
  return value?.kind === 'numbers' && !value.shape.includes(0) ? value : undefined;
}

/** Characters, which run down the columns, as a list of lines. No text has more rows than characters, whatever its shape says. */
export function linesOf(text: string, rows: number): string {
  if (rows <= 1 || text.length === 0) return text;
  const lines = Array.from({ length: Math.min(rows, text.length) }, () => '');
  for (let i = 0; i < text.length; i++) lines[i % rows] += text[i]!;
  return lines.join('\n');
}

/** Bytes of the text that a file begins with, of either version. */
export const HEADER_TEXT = 116;

/** That text, without what fills it up. */
export const headerText = (bytes: Uint8Array): string => latin1(bytes).replace(/[\0 ]+$/, '');

/** The order in which arrays of this shape are stored, where it is another one than C's. */
export function columnOrder(shape: readonly number[]): Pick<TensorInfo, 'axes'> {
  const matters = shape.filter((size) => size > 1).length > 1;
  return matters ? { axes: shape.map((_, axis) => shape.length - 1 - axis) } : {};
}

/** The error for a file that breaks the format's own rules. */
export const corrupt = (who: string, what: string): VggError => corruptFile(who, 'MATLAB file', what);
