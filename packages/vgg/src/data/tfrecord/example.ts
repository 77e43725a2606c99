import { VggError } from '@vgg/errors';
import { bytesField, concat, fieldsOf } from '@vgg/loaders';

/**
 * TensorFlow's Example (core/example/example.proto): features by name, each a list of bytes, floats or whole numbers.
 * Whole numbers past 2^53 are a bigint.
 */
export type Feature =
  | { readonly bytesList: readonly Uint8Array[]; readonly floatList?: undefined; readonly int64List?: undefined }
  | { readonly floatList: Float32Array; readonly bytesList?: undefined; readonly int64List?: undefined }
  | { readonly int64List: readonly (number | bigint)[]; readonly bytesList?: undefined; readonly floatList?: undefined };

/** A feature to encode; texts become UTF-8. */
export type FeatureInput =
  | { readonly bytesList: readonly (Uint8Array | string)[] }
  | { readonly floatList: ArrayLike<number> }
  | { readonly int64List: readonly (number | bigint)[] };

/** An Example to encode. */
export type ExampleInput = Readonly<Record<string, FeatureInput>> | ReadonlyMap<string, FeatureInput>;

/**
 * An Example as bytes: features in the order of their names, numbers packed.
 *
 * @throws VggError `VGG_OPTION` for what is no feature, and for whole numbers that are none or have more than 64 bits
 * @example encodeExample({ label: { int64List: [1] } }); // Uint8Array(18)
 */
export function encodeExample(example: ExampleInput): Uint8Array {
  const entries = example instanceof Map ? [...example] : Object.entries(example as Record<string, FeatureInput>);
  const sorted = entries.map(([name, feature]) => [name, feature] as const).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const features = sorted.map(([name, feature]) =>
    bytesField(1, concat([bytesField(1, name), bytesField(2, encodeFeature(name, feature))])),
  );
  return bytesField(1, concat(features));
}

function encodeFeature(name: string, feature: FeatureInput): Uint8Array {
  if (typeof feature === 'object' && feature !== null) {
    if ('bytesList' in feature && isList(feature.bytesList)) {
      const values = feature.bytesList.map((value) => {
        if (typeof value !== 'string' && !(value instanceof Uint8Array)) throw wrong(name, 'bytes or texts', value);
        return bytesField(1, value);
      });
      return bytesField(1, concat(values));
    }
    if ('floatList' in feature && isList(feature.floatList)) {
      const bytes = new Uint8Array(4 * feature.floatList.length);
      const view = new DataView(bytes.buffer);
      for (let i = 0; i < feature.floatList.length; i++) view.setFloat32(4 * i, feature.floatList[i]!, true);
      return bytesField(2, bytes.length === 0 ? bytes : bytesField(1, bytes));
    }
    if ('int64List' in feature && isList(feature.int64List)) {
      const bytes = Uint8Array.from(Array.from(feature.int64List, (value) => int64(name, value)).flat());
      return bytesField(3, bytes.length === 0 ? bytes : bytesField(1, bytes));
    }
  }
  throw wrong(name, '{ bytesList }, { floatList } or { int64List }', feature);
}

const isList = (value: unknown): value is ArrayLike<unknown> => Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value);

/** A varint: seven bits to a byte, the lowest first; a negative one has all 64. */
function int64(name: string, value: unknown): number[] {
  if (!(typeof value === 'bigint' || Number.isSafeInteger(value))) throw wrong(name, 'whole numbers', value);
  const whole = BigInt(value as number | bigint);
  if (BigInt.asIntN(64, whole) !== whole) throw wrong(name, 'whole numbers of 64 bits', value);
  const out: number[] = [];
  for (let bits = BigInt.asUintN(64, whole); ; bits >>= 7n) {
    if (bits < 128n) return [...out, Number(bits)];
    out.push(Number(bits & 127n) | 128);
  }
}

function wrong(name: string, expected: string, received: unknown): VggError {
  const shown = typeof received === 'object' ? 'an object' : String(received);
  return new VggError(
    'VGG_OPTION',
    `encodeExample: expected ${expected} as the feature "${name.slice(0, 80)}", received ${shown.slice(0, 80)}`,
  );
}

/**
 * The features of an Example, by name. Lists of numbers may be packed or not; fields that are unknown are passed over; of a feature that
 * comes twice the last one counts, as in every map of Protocol Buffers.
 *
 * @param who its name in messages
 * @throws VggError `VGG_INTEGRITY` if the bytes are no message, or fields have other types
 * @example decodeExample(encodeExample({ label: { int64List: [6] } })).get('label'); // { int64List: [6] }
 */
export function decodeExample(bytes: Uint8Array, who = 'Example'): Map<string, Feature> {
  const features = new Map<string, Feature>();
  for (const message of messages(bytes, 1, who)) {
    for (const entry of messages(message, 1, who)) {
      let name = '';
      let feature: Feature = { bytesList: [] };
      for (const text of messages(entry, 1, who)) name = decodeText(text, who);
      for (const value of messages(entry, 2, who)) feature = decodeFeature(value, who);
      features.set(name, feature);
    }
  }
  return features;
}

/** The sub-messages of one number. */
function* messages(bytes: Uint8Array, number: number, who: string): Generator<Uint8Array> {
  for (const field of fieldsOf(bytes, who)) {
    if (field.number !== number) continue;
    if (field.type !== 'bytes') throw corrupt(who, `field ${number} is of type ${field.type}`);
    yield bytes.subarray(field.start, field.end);
  }
}

function decodeText(bytes: Uint8Array, who: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw corrupt(who, 'the name of a feature is no text');
  }
}

function decodeFeature(bytes: Uint8Array, who: string): Feature {
  let feature: Feature = { bytesList: [] };
  for (const field of fieldsOf(bytes, who)) {
    if (field.number > 3) continue;
    if (field.type !== 'bytes') throw corrupt(who, `a list of type ${field.type}`);
    const list = bytes.subarray(field.start, field.end);
    if (field.number === 1) feature = { bytesList: [...messages(list, 1, who)].map((value) => value.slice()) };
    else feature = field.number === 2 ? { floatList: decodeFloats(list, who) } : { int64List: decodeInt64s(list, who) };
  }
  return feature;
}

function decodeFloats(list: Uint8Array, who: string): Float32Array {
  const parts: Uint8Array[] = [];
  for (const { number, type, start, end } of fieldsOf(list, who)) {
    if (number !== 1) continue;
    if (type !== 'fixed32' && !(type === 'bytes' && (end - start) % 4 === 0)) throw corrupt(who, 'a list of floats that are none');
    parts.push(list.subarray(start, end));
  }
  const bytes = concat(parts);
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

function decodeInt64s(list: Uint8Array, who: string): (number | bigint)[] {
  const values: (number | bigint)[] = [];
  for (const { number, type, start, end } of fieldsOf(list, who)) {
    if (number !== 1) continue;
    if (type !== 'varint' && type !== 'bytes') throw corrupt(who, 'a list of whole numbers that are none');
    for (let at = start; at < end; ) {
      if (list[at]! < 128) {
        values.push(list[at++]!);
        continue;
      }
      const from = at;
      let bits = 0n;
      for (let more = true; more; at++) {
        if (at >= end || at - from >= 10) throw corrupt(who, 'a whole number that does not end');
        bits |= BigInt(list[at]! & 127) << BigInt(7 * (at - from));
        more = list[at]! > 127;
      }
      const value = BigInt.asIntN(64, bits);
      values.push(Number.isSafeInteger(Number(value)) ? Number(value) : value);
    }
  }
  return values;
}

function corrupt(who: string, what: string): VggError {
  return new VggError('VGG_INTEGRITY', `${who}: expected a whole Example, received ${what}; are these records Examples?`);
}

/** Text of a feature's first bytes. */
export function textOf(feature: Feature | undefined): string | undefined {
  const [first] = feature?.bytesList ?? [];
  return first && new TextDecoder().decode(first);
}

/** A feature's first whole number, where it has one that a label or size can be. */
export function numberOf(feature: Feature | undefined): number | undefined {
  const [first] = feature?.int64List ?? [];
  return typeof first === 'number' ? first : undefined;
}
