/** Values of a typed array in one piece of text. */
const SLICE = 4096;

/**
 * A JSON document in pieces, so that large feature maps never become one string. Typed arrays are arrays of numbers: float32 with the
 * nine digits that give the same float32 back; NaN and infinities are null, as in `JSON.stringify`.
 */
export function* jsonText(value: unknown): Generator<string> {
  if (value instanceof Float32Array) {
    yield '[';
    for (let from = 0; from < value.length; from += SLICE) {
      yield `${from > 0 ? ',' : ''}${Array.from(value.subarray(from, from + SLICE), float).join(',')}`;
    }
    yield ']';
  } else if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    yield* jsonText(Array.from(value as unknown as ArrayLike<number>));
  } else if (Array.isArray(value)) {
    yield '[';
    for (let i = 0; i < value.length; i++) {
      if (i > 0) yield ',';
      yield* jsonText(value[i] === undefined ? null : value[i]);
    }
    yield ']';
  } else if (value !== null && typeof value === 'object' && typeof (value as { toJSON?: unknown }).toJSON !== 'function') {
    let first = true;
    yield '{';
    for (const [key, entry] of Object.entries(value)) {
      if (entry === undefined || typeof entry === 'function') continue;
      yield `${first ? '' : ','}${JSON.stringify(key)}:`;
      yield* jsonText(entry);
      first = false;
    }
    yield '}';
  } else yield JSON.stringify(value) ?? 'null';
}

const float = (value: number): string => (Number.isFinite(value) ? String(Number(value.toPrecision(9))) : 'null');
