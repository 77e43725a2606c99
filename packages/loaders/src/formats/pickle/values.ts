import type { VggError } from '@vgg/errors';
import { corruptFile } from '../../refusals.js';

/**
 * What a pickle may hold here: plain data. Tuples are arrays as lists are. Nothing of it is ever run.
 */
export type Value = null | boolean | number | bigint | string | Value[] | Dict | Bytes | LongText | Global | Instance;

/** An object that something of the allowlist stands for. */
export abstract class Instance {
  /** What the file then says of the object's state (the opcode BUILD), as often as it likes. */
  abstract build(state: Value, call: Call): void;
}

/** A dict by the text of its keys: those that are neither text nor numbers are kept as they are, and are no names. */
export class Dict extends Instance {
  readonly entries = new Map<Value, Value>();

  set(key: Value, value: Value): void {
    this.entries.set(textOf(key) ?? (typeof key === 'number' ? String(key) : key), value);
  }

  get(key: string): Value | undefined {
    return this.entries.get(key);
  }

  /** An OrderedDict may carry attributes, as a state dict carries the versions of its modules; they are of no use here. */
  build(_state: Value, _call: Call): void {}
}

/** Where bytes are in the file, or what they are where they are few. */
export interface Bytes {
  readonly kind: 'bytes';
  /** One character to a byte; only of short ones. */
  readonly text?: string;
  /** Where the stored bytes begin, and how many there are. */
  readonly stored?: { readonly offset: number; readonly length: number };
  /** Whether they are stored as UTF-8 text whose characters are the bytes: protocol 2 has no bytes of its own. */
  readonly isUtf8?: boolean;
}

/** Text that is too long to be a name: its place. */
export interface LongText {
  readonly kind: 'text';
  readonly offset: number;
  readonly length: number;
}

/** A name out of the allowlist, and what calling it with arguments stands for. */
export interface Global {
  readonly kind: 'global';
  /** Such as `collections.OrderedDict`. */
  readonly name: string;
  readonly make: Make;
}

/** What a call with these arguments would give. */
export type Make = (args: readonly Value[], call: Call) => Value;

export interface Call {
  /** The file's name, for messages. */
  readonly who: string;
  /** Counts items that are copied as work. @throws VggError `VGG_INTEGRITY` past the limit */
  charge(items: number): void;
}

/** An object whose content is of no use here, such as `torch.device`. */
export class Opaque extends Instance {
  build(_state: Value, _call: Call): void {}
}

/** A short text, whichever way it is stored: Python 2 has bytes where Python 3 has text. */
export function textOf(value: Value | undefined): string | undefined {
  if (typeof value === 'string') return value;
  return isBytes(value) ? value.text : undefined;
}

export function isBytes(value: Value | undefined): value is Bytes {
  return isKind(value, 'bytes');
}

export function isLongText(value: Value | undefined): value is LongText {
  return isKind(value, 'text');
}

export function isGlobal(value: Value | undefined): value is Global {
  return isKind(value, 'global');
}

function isKind(value: Value | undefined, kind: string): boolean {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind;
}

/** A count, size or offset. */
export function isWhole(value: Value | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** What a value is, for the end of a sentence. */
export function describeValue(value: Value | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isBytes(value)) return 'bytes';
  if (isLongText(value)) return 'a long text';
  if (isGlobal(value)) return value.name.slice(0, 100);
  if (value instanceof Dict) return 'a dict';
  return typeof value === 'object' ? 'an object' : `${typeof value} ${String(value).slice(0, 40)}`;
}

/** The error for a pickle that no program would write. */
export const corrupt = (who: string, what: string): VggError => corruptFile(who, 'pickle', what);
