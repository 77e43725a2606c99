import { concat, viewOf } from '../../bytes.js';
import { shortestDecimal } from '../../numbers.js';
import { bytesField, floatField, numberField } from '../protobuf/encode.js';
import { corrupt, type Field, fieldsOf, packedVarints, utf8 } from '../protobuf/wire.js';
import { isMessage, type Message, type Value } from './message.js';
import type { Kind, Schema } from './schema.js';

/** Messages of the schema are three deep below a layer; what a schema does not name is not gone into. */

/** A small message that was read whole, by the names of its fields; fields that the schema does not have are left out. */
function decodeMessage(bytes: Uint8Array, schema: Schema, who: string, spend: () => void): Message {
  const fields = new Map<string, Value[]>();
  for (const field of fieldsOf(bytes, who)) {
    spend();
    decodeField(field, bytes.subarray(field.start, field.end), schema, fields, who, spend);
  }
  return { line: 0, fields };
}

/**
 * One field of a message, added to the others of its name; `spend` is told of each value within it, since a few bytes may hold a thousand.
 * @throws VggError `VGG_INTEGRITY` if it is stored as another type than the schema's
 */
export function decodeField(
  field: Field,
  content: Uint8Array,
  schema: Schema,
  into: Map<string, Value[]>,
  who: string,
  spend: () => void,
): void {
  const row = schema.find(([number]) => number === field.number);
  if (!row) return;
  const [, name, kind] = row;
  const values = into.get(name) ?? [];
  into.set(name, values);
  const scalar = (text: string) => void values.push({ line: 0, text });
  const { type } = field;
  if (typeof kind === 'object' && 'message' in kind && type === 'bytes') values.push(decodeMessage(content, kind.message, who, spend));
  else if (kind === 'text' && type === 'bytes') scalar(utf8(content));
  else if (kind === 'float' && type === 'fixed32') scalar(`${shortestDecimal(viewOf(content).getFloat32(0, true))}`);
  else if (isNumber(kind) && type === 'varint') scalar(word(field.value, kind));
  else if (isNumber(kind) && type === 'bytes') {
    for (const value of packedVarints(content, who)) {
      spend();
      scalar(word(value, kind));
    }
  } else throw corrupt(who, `"${name}" is stored as ${type}`);
}

const isNumber = (kind: Kind): kind is 'int' | 'bool' | readonly string[] => kind === 'int' || kind === 'bool' || Array.isArray(kind);

const word = (value: number, kind: Kind): string => (Array.isArray(kind) ? (kind[value] ?? `${value}`) : `${value}`);

/** A message's bytes, the fields in the order in which the tree has them. */
export function encodeMessage(message: Message, schema: Schema): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const [name, values] of message.fields) {
    const row = schema.find(([, known]) => known === name)!;
    for (const value of values) pieces.push(encodeField(row[0], value, row[2]));
  }
  return concat(pieces);
}

function encodeField(number: number, value: Value, kind: Kind): Uint8Array {
  if (isMessage(value)) return bytesField(number, encodeMessage(value, (kind as { message: Schema }).message));
  if (kind === 'text') return bytesField(number, value.text);
  if (kind === 'float') return floatField(number, Number(value.text));
  if (kind === 'bool') return numberField(number, value.text === 'true' ? 1 : 0);
  return numberField(number, kind === 'int' ? Number(value.text) : (kind as readonly string[]).indexOf(value.text));
}
