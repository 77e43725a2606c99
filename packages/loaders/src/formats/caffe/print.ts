import { isMessage, type Message, type Value } from './message.js';
import type { Kind, Schema } from './schema.js';

/** A message as text, two spaces to a level, the fields in the order in which the tree has them. */
export function printMessage(message: Message, schema: Schema, indent = ''): string {
  let out = '';
  for (const [name, values] of message.fields) {
    const kind = schema.find(([, known]) => known === name)![2];
    for (const value of values) out += `${indent}${name}${printValue(value, kind, indent)}\n`;
  }
  return out;
}

function printValue(value: Value, kind: Kind, indent: string): string {
  if (!isMessage(value)) return `: ${kind === 'text' ? quoted(value.text) : value.text}`;
  return ` {\n${printMessage(value, (kind as { message: Schema }).message, `${indent}  `)}${indent}}`;
}

/** Quotes, backslashes and control characters are escaped. */
const quoted = (text: string): string =>
  `"${text.replace(/["\\]/g, '\\$&').replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`;
