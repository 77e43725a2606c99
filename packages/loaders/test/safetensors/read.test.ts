import { describe, expect, test } from 'vitest';
import {
  bytesSource,
  canonicalise,
  canonicalTensors,
  type NamedValues,
  openWeights,
  readCanonical,
  type Source,
  writeSafetensors,
} from '../../src/index.js';
import { counted, refuses } from '../helpers.js';
import { random } from '../random.js';
import { table, VGG16 } from '../vgg.js';

async function write(
  tensors: NamedValues[],
  ...rest: [metadata?: Record<string, string>, options?: { dtype?: 'float32' | 'float16'; signal?: AbortSignal }]
) {
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeSafetensors(tensors, ...rest)) chunks.push(chunk.slice());
  return new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
}

/** A file with this header and so many bytes of data. */
function raw(header: string, data = 0): Source {
  const text = new TextEncoder().encode(header);
  const out = new Uint8Array(8 + text.length + data);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  return bytesSource(out, 'test.safetensors');
}

const values = (count: number, seed = 1) => {
  const next = random(seed);
  return Float32Array.from({ length: count }, () => (next() - 0.5) * 10);
};
const tensor = (name: string, shape: number[], data = values(shape.reduce((a, b) => a * b, 1))): NamedValues => ({
  name,
  shape,
  values: async () => data,
});

describe('write and read back', () => {
  test('float32 bit for bit, with metadata, names of any kind, an empty tensor and a scalar', async () => {
    const tensors = [
      tensor('conv1_1.weight', [3, 3, 3, 2]),
      tensor('10', [2]),
      tensor('2', []),
      tensor('__proto__', [1]),
      tensor('no\u00a0"thing', [0, 3]),
    ];
    const bytes = await write(tensors, { licence: 'CC BY 4.0', preprocessing: '{"order":"bgr"}' });
    const file = await openWeights(bytesSource(bytes));
    expect(file.format).toBe('safetensors');
    expect([...file.tensors.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort());
    for (const { name, values } of tensors) expect(await file.read(name)).toEqual(await values());
    expect(Object.fromEntries(file.metadata)).toEqual({ licence: 'CC BY 4.0', preprocessing: '{"order":"bgr"}' });
    const header = new DataView(bytes.buffer).getBigUint64(0, true);
    expect(header % 8n).toBe(0n);
  });

  test('float16 rounds to the nearest, ties to even', async () => {
    // 1 + 2^-11 lies halfway between 1 and 1 + 2^-10; 65520 is the first that rounds to infinity; 2^-25 the tie at the bottom.
    const cases = [
      0,
      -0,
      1,
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      65504,
      65519.996,
      65520,
      -1e9,
      2 ** -24,
      2 ** -25,
      2 ** -25 * 1.001,
      3 * 2 ** -25,
      2 ** -14,
      2 ** -14 - 2 ** -26,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      1e-45,
    ];
    const expected = [
      0,
      -0,
      1,
      1,
      1 + 2 ** -9,
      65504,
      65504,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      2 ** -24,
      0,
      2 ** -24,
      2 ** -23,
      2 ** -14,
      2 ** -14,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      0,
    ];
    const file = await openWeights(
      bytesSource(await write([tensor('h', [cases.length], Float32Array.from(cases))], {}, { dtype: 'float16' })),
    );
    expect(file.tensors.get('h')!.dtype).toBe('float16');
    expect([...(await file.read('h'))]).toEqual(expected);
  });

  test('a wrong count of values, a name used twice, an abort', async () => {
    await refuses(write([{ ...tensor('a', [2, 2]), values: async () => new Float32Array(3) }]), 'VGG_SHAPE', /expected 4 values for "a"/);
    await refuses(write([tensor('a', [1]), tensor('a', [1])]), 'VGG_OPTION', /twice/);
    await refuses(write([tensor('a', [1])], {}, { signal: AbortSignal.abort() }), 'VGG_ABORTED', /writeSafetensors/);
  });
});

test('every element type', async () => {
  const types = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, U16: 2, U32: 4, U64: 8, BOOL: 1 };
  // 1 in each type, little-endian, and its negative or largest where that tells more.
  const one: Record<string, number[]> = {
    F64: [0, 0, 0, 0, 0, 0, 0xf8, 0x3f],
    F32: [0, 0, 0xc0, 0xbf],
    F16: [0, 0x3e],
    BF16: [0xc0, 0x3f],
    I64: [255, 255, 255, 255, 255, 255, 255, 255],
    I32: [254, 255, 255, 255],
    I16: [0, 128],
    I8: [128],
    U8: [255],
    U16: [255, 255],
    U32: [255, 255, 255, 255],
    U64: [0, 0, 0, 0, 1, 0, 0, 0],
    BOOL: [7],
  };
  const expected = [1.5, -1.5, 1.5, 1.5, -1, -2, -32768, -128, 255, 65535, 2 ** 32, 2 ** 32, 1];
  let at = 0;
  const header: Record<string, object> = {};
  for (const [dtype, bytes] of Object.entries(types)) {
    header[dtype] = { dtype, shape: [], data_offsets: [at, at + bytes] };
    at += bytes;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const out = new Uint8Array(8 + text.length + at);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  out.set(
    Object.keys(types).flatMap((dtype) => one[dtype]!),
    8 + text.length,
  );
  const file = await openWeights(bytesSource(out));
  expect(await Promise.all(Object.keys(types).map(async (dtype) => (await file.read(dtype))[0]))).toEqual(expected);
});

test.each([
  ['a header past the cap', () => bytesSource(new Uint8Array([0, 0, 0, 16, 0, 0, 0, 0, 0x7b, 0x7d])), 'VGG_INTEGRITY', /header of at most/],
  [
    'a header longer than the file',
    () => bytesSource(new Uint8Array([200, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d])),
    'VGG_INTEGRITY',
    /cut or corrupt/,
  ],
  [
    'an overlap',
    () => raw('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}', 6),
    'VGG_INTEGRITY',
    /overlap/,
  ],
  ['a hole', () => raw('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 8), 'VGG_INTEGRITY', /hole/],
  [
    'bytes behind the last tensor',
    () => raw('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 5),
    'VGG_INTEGRITY',
    /4 bytes of data.*received 5/,
  ],
  ['a cut file', () => raw('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 7), 'VGG_INTEGRITY', /8 bytes of data.*received 7/],
  ['offsets backwards', () => raw('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', 4), 'VGG_INTEGRITY', /expected 4 bytes/],
  [
    'another length than the shape',
    () => raw('{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}', 4),
    'VGG_INTEGRITY',
    /expected 12 bytes/,
  ],
  ['a negative side', () => raw('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', 4), 'VGG_INTEGRITY', /shape/],
  [
    'a product that overflows',
    () => raw('{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'),
    'VGG_INTEGRITY',
    /at most/,
  ],
  [
    'a name twice',
    () => raw('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 8),
    'VGG_INTEGRITY',
    /twice/,
  ],
  ['an unknown type', () => raw('{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}', 4), 'VGG_FORMAT', /F8_E4M3/],
  ['metadata that is no text', () => raw('{"__metadata__":{"a":1}}'), 'VGG_INTEGRITY', /metadata/],
  ['broken JSON', () => raw('{"a":'), 'VGG_FORMAT', /JSON/],
] as const)('%s is refused', (_, source, code, text) => refuses(openWeights(source()), code, text));

test('only the bytes of the wanted tensors are read: 30.5 MB of 553 MB up to conv4_3', async () => {
  const specs = table(VGG16, { dense: [4096, 4096, 1000] });
  let total = 0;
  const header: Record<string, object> = {};
  for (const { name, shape } of specs.flatMap(canonicalTensors)) {
    const end = total + 4 * shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype: 'F32', shape, data_offsets: [total, end] };
    total = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(8 + text.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
  head.set(text, 8);
  const source = counted({
    name: 'vgg16.safetensors',
    size: head.length + total,
    read: async (offset, length) => (offset < head.length ? head.slice(offset, offset + length) : new Uint8Array(length)),
  });
  expect(total).toBe(553_430_176);
  const file = await openWeights(source);
  const mapping = canonicalise(file, specs);
  expect(source.bytes).toBeLessThan(16_384);
  const indexed = source.bytes;
  for (const name of mapping.tensors.keys()) {
    if (/^conv([123]_|4_)/.test(name)) await readCanonical(file, mapping, name);
  }
  expect(source.bytes - indexed).toBe(30_541_056);
});
