import { VggError } from '@vgg/errors';

/**
 * A message of Caffe's schema as a tree, out of a prototxt or of the binary form, so that one reading of layers serves both. Numbers are
 * kept as the text that they were written as.
 */
export interface Message {
  /** Of the text; 0 in the binary form. */
  readonly line: number;
  readonly fields: ReadonlyMap<string, readonly Value[]>;
}

export interface Scalar {
  readonly line: number;
  readonly text: string;
}

export type Value = Message | Scalar;

/** Largest size of an axis, a window or a channel count that Caffe's 32-bit numbers hold. */
const MAX_COUNT = 2 ** 31 - 1;

export const isMessage = (value: Value): value is Message => 'fields' in value;

const NONE: Message = { line: 0, fields: new Map() };

/** The messages in a repeated field. @throws VggError `VGG_FORMAT` if one is a plain value */
export function messages(of: Message, field: string, who: string): Message[] {
  return (of.fields.get(field) ?? []).map((value) => {
    if (!isMessage(value)) throw unexpected(who, value, `"${field} { ... }"`, `"${startOf(value)}"`);
    return value;
  });
}

/** The message in a field, an empty one where there is none; of several the last counts. */
export const message = (of: Message, field: string, who: string): Message => messages(of, field, who).at(-1) ?? NONE;

/** The plain values of a repeated field. @throws VggError `VGG_FORMAT` if one is a message */
function scalars(of: Message, field: string, who: string): Scalar[] {
  return (of.fields.get(field) ?? []).map((value) => {
    if (isMessage(value)) throw unexpected(who, value, `a value for "${field}"`, '"{"');
    return value;
  });
}

export const texts = (of: Message, field: string, who: string): string[] => scalars(of, field, who).map((value) => value.text);

export const text = (of: Message, field: string, who: string): string | undefined => texts(of, field, who).at(-1);

/** Whole numbers from 0 up, such as sizes and counts. */
export function counts(of: Message, field: string, who: string): number[] {
  return scalars(of, field, who).map((value) => {
    const number = numberOf(value.text);
    if (!Number.isInteger(number) || number < 0 || number > MAX_COUNT) {
      throw unexpected(who, value, `a whole number from 0 to ${MAX_COUNT} for "${field}"`, `"${startOf(value)}"`);
    }
    return number;
  });
}

export const count = (of: Message, field: string, who: string): number | undefined => counts(of, field, who).at(-1);

/** Any number, a whole one below zero too. */
export function number(of: Message, field: string, who: string): number | undefined {
  const value = scalars(of, field, who).at(-1);
  if (!value) return undefined;
  const parsed = numberOf(value.text);
  if (Number.isNaN(parsed)) throw unexpected(who, value, `a number for "${field}"`, `"${startOf(value)}"`);
  return parsed;
}

const TRUTH: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['True', true],
  ['t', true],
  ['1', true],
  ['false', false],
  ['False', false],
  ['f', false],
  ['0', false],
]);

export function flag(of: Message, field: string, who: string, fallback: boolean): boolean {
  const value = scalars(of, field, who).at(-1);
  if (!value) return fallback;
  const truth = TRUTH.get(value.text);
  if (truth === undefined) throw unexpected(who, value, `true or false for "${field}"`, `"${startOf(value)}"`);
  return truth;
}

/** One of an enumeration's words, which may also be given by its place among them; the first is the default. */
export function choice<const T extends string>(of: Message, field: string, who: string, words: readonly T[]): T {
  const value = scalars(of, field, who).at(-1);
  if (!value) return words[0]!;
  const word = words.find((known, i) => known === value.text || `${i}` === value.text);
  if (word === undefined) throw unexpected(who, value, `${words.join(' or ')} for "${field}"`, `"${startOf(value)}"`);
  return word;
}

/** Decimal, hexadecimal and octal, with the `f` of C and the words for what is no number, as the text format has them. */
function numberOf(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = text.replace(/^-\s*/, '');
  if (/^0x[0-9a-f]+$/i.test(digits)) return sign * Number(digits);
  if (/^0[0-7]+$/.test(digits)) return sign * Number.parseInt(digits, 8);
  if (/^inf(inity)?$/i.test(digits)) return sign * Number.POSITIVE_INFINITY;
  if (/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?f?$/i.test(digits)) return sign * Number(digits.replace(/f$/i, ''));
  return Number.NaN;
}

const startOf = (value: Scalar): string => value.text.slice(0, 40);

/** The error for a value that is not what its field takes. */
export function unexpected(who: string, { line }: { readonly line: number }, expected: string, received: string): VggError {
  return new VggError('VGG_FORMAT', `${who}${line > 0 ? `, line ${line}` : ''}: expected ${expected}, received ${received}`);
}
