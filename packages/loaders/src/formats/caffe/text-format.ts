import { VggError } from '@vgg/errors';
import { latin1 } from '../../bytes.js';
import { pastLimit } from '../../refusals.js';
import { type Message, type Scalar, unexpected, type Value } from './message.js';

/** Longest text that is parsed: a network of a thousand layers has 500 KB. */
export const MAX_TEXT = 4 * 2 ** 20;
/** Caffe's messages are four deep. */
const MAX_DEPTH = 32;
/** Fields and list items of a whole text; a network of a thousand layers has some 30,000. */
const MAX_VALUES = 2 ** 18;

/**
 * Protocol Buffers' text format (protobuf.dev, "Text Format Language Specification") without a schema: names and values as they stand, in
 * a tree. Names of extensions in square brackets are not taken, since Caffe has none.
 *
 * @throws VggError `VGG_FORMAT` for what is not the text format, with its line; `VGG_INTEGRITY` for a text that ends early or past a limit
 */
export function parseTextFormat(text: string, who: string): Message {
  if (text.length > MAX_TEXT) {
    throw pastLimit(who, `at most ${MAX_TEXT} characters of text`, text.length);
  }
  const state: State = { who, text, at: text.charCodeAt(0) === 0xfeff ? 1 : 0, line: 1, values: 0 };
  return takeMessage(state, undefined, 0);
}

interface State {
  readonly who: string;
  readonly text: string;
  at: number;
  line: number;
  values: number;
}

const NAME = /[A-Za-z_]\w*/y;
/** Numbers, and the words of enumerations; a sign may stand apart from what it belongs to. */
const WORD = /-?[ \t]*(?:[A-Za-z_]\w*|\.?\d(?:[eE][+-]|[\w.])*)/y;

/** The fields up to the closing bracket, or up to the end of the text. */
function takeMessage(state: State, close: '}' | '>' | undefined, depth: number): Message {
  const { line } = state;
  if (depth > MAX_DEPTH) throw limit(state, `messages at most ${MAX_DEPTH} deep`);
  const fields = new Map<string, Value[]>();
  for (;;) {
    skipSpace(state);
    if (state.at >= state.text.length) {
      if (close === undefined) return { line, fields };
      throw cut(state, `the "${close}" of the message of line ${line}`);
    }
    if (close !== undefined && takeAny(state, close)) return { line, fields };
    const name = take(state, NAME);
    if (name === undefined) throw unexpected(state.who, state, 'the name of a field', next(state));
    const values = fields.get(name) ?? [];
    fields.set(name, values);
    takeValues(state, values, depth);
    skipSpace(state);
    takeAny(state, ';,');
  }
}

/** What stands behind a field's name: a value, a message, or a list of either. */
function takeValues(state: State, into: Value[], depth: number): void {
  skipSpace(state);
  const colon = takeAny(state, ':') !== undefined;
  skipSpace(state);
  if (takeAny(state, '[') === undefined) {
    into.push(takeValue(state, depth, colon));
    return;
  }
  skipSpace(state);
  if (takeAny(state, ']')) return;
  for (;;) {
    into.push(takeValue(state, depth, colon));
    skipSpace(state);
    if (takeAny(state, ']')) return;
    if (state.at >= state.text.length) throw cut(state, 'the "]" of a list');
    if (!takeAny(state, ',')) throw unexpected(state.who, state, '"," or "]" in a list', next(state));
  }
}

function takeValue(state: State, depth: number, colon: boolean): Value {
  skipSpace(state);
  if (state.at >= state.text.length) throw cut(state, 'a value');
  if (++state.values > MAX_VALUES) throw limit(state, `at most ${MAX_VALUES} values`);
  const open = takeAny(state, '{<');
  if (open) return takeMessage(state, open === '{' ? '}' : '>', depth + 1);
  if (!colon) throw unexpected(state.who, state, '":" or "{" behind a name', next(state));
  const quote = state.text[state.at];
  if (quote === '"' || quote === "'") return takeStrings(state);
  const { line } = state;
  const word = take(state, WORD);
  if (word === undefined) throw unexpected(state.who, state, 'a value', next(state));
  return { line, text: word };
}

/** Strings side by side are one. */
function takeStrings(state: State): Scalar {
  const { line } = state;
  let text = '';
  for (;;) {
    const quote = takeAny(state, '"\'');
    if (!quote) return { line, text };
    text += takeString(state, quote);
    skipSpace(state);
  }
}

function takeString(state: State, quote: string): string {
  const from = state.at;
  for (let at = from; ; at++) {
    const character = state.text[at];
    if (character === undefined) throw cut(state, `the ${quote} of a string`);
    if (character === '\n') throw unexpected(state.who, state, `the ${quote} of a string on its line`, 'the end of the line');
    if (character === '\\') at++;
    else if (character === quote) {
      state.at = at + 1;
      const raw = state.text.slice(from, at);
      return raw.includes('\\') ? withoutEscapes(raw) : raw;
    }
  }
}

const LETTERS: ReadonlyMap<string, number> = new Map([
  ['a', 7],
  ['b', 8],
  ['t', 9],
  ['n', 10],
  ['v', 11],
  ['f', 12],
  ['r', 13],
]);

/** Octal and hexadecimal escapes are bytes of UTF-8, of which several make one character: so on bytes, and in place, since none gets longer. */
function withoutEscapes(raw: string): string {
  const bytes = new TextEncoder().encode(raw);
  let to = 0;
  for (let from = 0; from < bytes.length; ) {
    const byte = bytes[from++]!;
    if (byte !== BACKSLASH) {
      bytes[to++] = byte;
      continue;
    }
    const letter = String.fromCharCode(bytes[from]!);
    const [digits, longest] = DIGITS.get(letter.toLowerCase() === 'x' ? 'x' : letter) ?? [OCTAL, 3];
    const start = digits === OCTAL ? from : from + 1;
    let end = start;
    while (end < start + longest && end < bytes.length && digits.test(String.fromCharCode(bytes[end]!))) end++;
    if (end === start) {
      bytes[to++] = LETTERS.get(letter) ?? bytes[from]!;
      from++;
      continue;
    }
    const value = Number.parseInt(latin1(bytes.subarray(start, end)), digits === OCTAL ? 8 : 16);
    if (longest > 3) to += new TextEncoder().encodeInto(String.fromCodePoint(Math.min(value, 0x10ffff)), bytes.subarray(to)).written;
    else bytes[to++] = value;
    from = end;
  }
  return new TextDecoder().decode(bytes.subarray(0, to));
}

const BACKSLASH = 0x5c;
const OCTAL = /[0-7]/;
const HEXADECIMAL = /[0-9a-fA-F]/;
/** Of the escapes that begin with a letter: which digits they have, and at most how many. */
const DIGITS: ReadonlyMap<string, readonly [RegExp, number]> = new Map([
  ['x', [HEXADECIMAL, 2]],
  ['u', [HEXADECIMAL, 4]],
  ['U', [HEXADECIMAL, 8]],
]);

/** Spaces, line ends and comments; a loop, since a pattern would keep a way back for each of them. */
function skipSpace(state: State): void {
  const { text } = state;
  for (; state.at < text.length; state.at++) {
    const character = text[state.at]!;
    if (character === '\n') state.line++;
    else if (character === '#') {
      const end = text.indexOf('\n', state.at);
      state.at = (end < 0 ? text.length : end) - 1;
    } else if (!' \t\r\f\v'.includes(character)) return;
  }
}

/** What the pattern finds right here. */
function take(state: State, pattern: RegExp): string | undefined {
  pattern.lastIndex = state.at;
  const found = pattern.exec(state.text)?.[0];
  if (found !== undefined) state.at += found.length;
  return found;
}

/** The next character if it is one of these. */
function takeAny(state: State, characters: string): string | undefined {
  const character = state.text[state.at];
  if (character === undefined || !characters.includes(character)) return undefined;
  state.at++;
  return character;
}

const next = ({ text, at }: State): string => (at < text.length ? JSON.stringify(text.slice(at, at + 20)) : 'the end of the text');

function cut({ who, line }: State, expected: string): VggError {
  return new VggError('VGG_INTEGRITY', `${who}, line ${line}: expected ${expected}, received the end of the text; it is cut`);
}

function limit({ who, line }: State, expected: string): VggError {
  return new VggError('VGG_INTEGRITY', `${who}, line ${line}: expected ${expected}, received more`);
}
