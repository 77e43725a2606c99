import { messageOf, VggError } from '@vgg/errors';
import { pastLimit } from './refusals.js';

export interface JsonLimits {
  /** Who speaks in the errors: the file's name. */
  who: string;
  maxBytes: number;
  maxDepth: number;
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * Parses a stranger's JSON: capped in bytes and in depth, and with no key twice in one object (`JSON.parse` would keep the last
 * without a word, and two readers could then see two files in one).
 *
 * @throws VggError `VGG_FORMAT` if it is not JSON, `VGG_INTEGRITY` past a limit
 */
export function parseJson(bytes: Uint8Array, { who, maxBytes, maxDepth }: JsonLimits): Json {
  if (bytes.length > maxBytes) {
    throw pastLimit(who, `at most ${maxBytes} bytes of JSON`, bytes.length);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new VggError('VGG_FORMAT', `${who}: expected JSON, received bytes that are not UTF-8 text`, { cause: error });
  }
  checkStructure(text, who, maxDepth);
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new VggError('VGG_FORMAT', `${who}: expected JSON, received text that is not (${messageOf(error)})`, { cause: error });
  }
}

function checkStructure(text: string, who: string, maxDepth: number): void {
  const open: (Set<string> | undefined)[] = []; // keys seen in each open object, undefined for arrays
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : undefined);
      if (open.length > maxDepth) throw new VggError('VGG_INTEGRITY', `${who}: expected JSON at most ${maxDepth} deep, received deeper`);
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === '"') {
      const start = i++;
      while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
      const keys = open.at(-1);
      if (keys && isBeforeColon(text, i + 1)) addKey(keys, text.slice(start, i + 1), who);
    }
  }
}

function isBeforeColon(text: string, from: number): boolean {
  let at = from;
  while (' \t\n\r'.includes(text[at] ?? ':')) at++;
  return text[at] === ':';
}

function addKey(keys: Set<string>, literal: string, who: string): void {
  let key = literal;
  try {
    key = JSON.parse(literal);
  } catch {
    // not a string after all: the parser will say so
  }
  if (keys.has(key)) throw new VggError('VGG_INTEGRITY', `${who}: expected each name once, received ${literal.slice(0, 80)} twice`);
  keys.add(key);
}

/** An own value of a JSON object, never one of its prototype's. */
export function member(json: Json | undefined, key: string): Json | undefined {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
  return Object.hasOwn(json, key) ? json[key] : undefined;
}
