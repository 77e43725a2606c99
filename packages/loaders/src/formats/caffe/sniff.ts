import { type Field, fieldsOf } from '../protobuf/wire.js';
import { LAYER, LAYER_BLOBS, NET, OLD_LAYER, OLD_LAYER_BLOBS, OLDEST_LAYER, type Schema } from './schema.js';

/** Fields that a NetParameter has besides those that we read: force_backward, state, debug_info. */
const OTHERS = [5, 6, 7];

/**
 * Whether a file that begins so is a NetParameter: other messages of Protocol Buffers (ONNX, TensorFlow) begin alike, so it is looked at
 * down to the first layer, which must have a name and a type of the kind that layers have.
 */
export function looksLikeNet(head: Uint8Array): boolean {
  for (const field of known(head)) {
    const content = head.subarray(field.start, Math.min(field.end, head.length));
    if (field.number === 100 && field.type === 'bytes') return looksLikeLayer(content, LAYER, LAYER_BLOBS);
    if (field.number === 2 && field.type === 'bytes') return looksLikeLayer(content, OLD_LAYER, OLD_LAYER_BLOBS);
    const row = NET.find(([number]) => number === field.number);
    if (!row && !OTHERS.includes(field.number)) return false;
    if (row?.[2] === 'text' && !(field.type === 'bytes' && isWord(content))) return false;
  }
  return false;
}

function looksLikeLayer(content: Uint8Array, schema: Schema, blobs: number): boolean {
  const seen = new Set<string>();
  for (const { number, type, start, end } of known(content)) {
    // Within it is a message that begins with a name.
    if (schema === OLD_LAYER && number === OLDEST_LAYER) return type === 'bytes' && content[start] === 0x0a;
    if (number === blobs) break;
    const [, name, kind] = schema.find(([row]) => row === number) ?? [];
    if (kind === 'text' && !(type === 'bytes' && isWord(content.subarray(start, end)))) return false;
    if (name === 'type' && type !== (kind === 'text' ? 'bytes' : 'varint')) return false;
    if (name) seen.add(name);
  }
  return seen.has('name') && seen.has('type');
}

/** The fields as far as the bytes go. */
function* known(bytes: Uint8Array): Generator<Field> {
  try {
    yield* fieldsOf(bytes, '', true);
  } catch {
    // no message, or one that goes on beyond the bytes
  }
}

/** Text without line breaks and other control characters. */
const isWord = (bytes: Uint8Array): boolean => bytes.every((byte) => byte >= 32 && byte !== 127);
