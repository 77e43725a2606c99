import { describe, expect, test } from 'vitest';
import { safetensorsWriter } from '../../src/formats/safetensors/write.js';
import { bytesSource, dequantizeInt4, openWeights, quantizeInt4, type StoredType, WRITERS } from '../../src/index.js';
import { counted, fixture, open, refuses } from '../helpers.js';
import { random } from '../random.js';
import { toWrite, written } from '../writing.js';

const next = random(9);
const noise = (count: number) => Float32Array.from({ length: count }, () => (next() - 0.5) * 4);

/** The first place where two arrays of many values differ, or -1. */
function differing(a: Float32Array, b: Float32Array): number {
  return a.length === b.length ? a.findIndex((value, i) => value !== b[i]) : Math.min(a.length, b.length);
}

const headerOf = (bytes: Uint8Array) =>
  JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true)))));

const shapes = (text: string) => ({ 'vgg.int4.shapes': text });

/** A file with this header, and as many bytes of data as its tensors say. */
function raw(tensors: Record<string, [dtype: string, shape: number[], bytes: number]>, metadata: Record<string, string>) {
  let at = 0;
  const entries = Object.entries(tensors).map(([name, [dtype, shape, bytes]]) => {
    at += bytes;
    return [name, { dtype, shape, data_offsets: [at - bytes, at] }];
  });
  const text = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) }));
  const out = new Uint8Array(8 + text.length + at);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  return bytesSource(out, 'a.safetensors');
}

const SOUND = { w: ['U8', [3], 3], w_palette: ['F32', [2, 16], 128] } as const;
type Tensors = Parameters<typeof raw>[0];
const sound = (change: Tensors = {}) => ({ ...(SOUND as unknown as Tensors), ...change });

describe('int4 in safetensors', () => {
  test('a file of numpy, value by value; the palettes are not shown', async () => {
    const file = await open('safetensors/int4.safetensors');
    const expected: Record<string, [number[], number[]]> = JSON.parse(new TextDecoder().decode(await fixture('safetensors/int4.json')));
    expect([...file.tensors.keys()].sort()).toEqual(Object.keys(expected).sort());
    for (const [name, [shape, values]] of Object.entries(expected)) {
      expect(file.tensors.get(name)!.shape).toEqual(shape);
      expect([...(await file.read(name))]).toEqual(values);
    }
    expect(file.tensors.get('conv1_1.weight')!.dtype).toBe('int4');
    expect(file.tensors.get('fc6.weight')!.dtype).toBe('float16');
  });

  test('a tensor of many pieces, written and read, whole and as a stream, with memory shared or not', async () => {
    const shape = [801, 701]; // both odd: pieces end within a row, and a byte within a piece
    const values = noise(801 * 701);
    const tensors = [toWrite('fc6.weight', shape, values), toWrite('fc6.bias', [701], noise(701))];
    const bytes = (await written(safetensorsWriter.write({ name: 'a', tensors, dtype: 'int4' }))).get('a')!;
    const { indices, palettes } = quantizeInt4(values, 701);
    const expected = dequantizeInt4(indices, palettes, new Float32Array(values.length));
    const source = counted(bytesSource(bytes));
    const file = await openWeights(source);
    const before = source.bytes;
    expect(differing(await file.read('fc6.weight'), expected)).toBe(-1);
    expect(source.bytes - before).toBe(indices.length + 4 * palettes.length);
    for (const reuse of [false, true]) {
      let at = 0;
      const kept: Float32Array[] = [];
      for await (const piece of file.stream('fc6.weight', { reuse })) {
        expect(piece.length).toBeLessThanOrEqual(2 ** 19);
        expect(differing(piece, expected.subarray(at, at + piece.length))).toBe(-1);
        at += piece.length;
        kept.push(piece);
      }
      expect(at).toBe(values.length);
      expect(new Set(kept.map(({ buffer }) => buffer)).size).toBe(reuse ? 1 : kept.length);
    }
  });

  test('its header is one that any reader of safetensors takes, and says how to read the bytes', async () => {
    const tensors = [toWrite('conv1_1.weight', [3, 3, 3, 5], noise(135)), toWrite('conv1_1.bias', [5], noise(5))];
    const bytes = (await written(safetensorsWriter.write({ name: 'a', tensors, dtype: 'int4' }))).get('a')!;
    const { __metadata__: metadata, ...entries } = headerOf(bytes);
    expect(entries['conv1_1.weight']).toMatchObject({ dtype: 'U8', shape: [68] });
    expect(entries['conv1_1.weight_palette']).toMatchObject({ dtype: 'F32', shape: [5, 16] });
    expect(entries['conv1_1.bias']).toMatchObject({ dtype: 'F32', shape: [5] });
    expect(JSON.parse(metadata['vgg.int4.shapes'])).toEqual({ 'conv1_1.weight': [3, 3, 3, 5] });
    expect(metadata['vgg.int4']).toContain('two indices in a byte');
    expect(metadata).not.toHaveProperty('vgg.int8');
  });

  test('each tensor of a type of its own, wide ones first', async () => {
    const dtypes: [string, StoredType][] = [
      ['a', 'int4'],
      ['b', 'float16'],
      ['c', 'int8'],
      ['d', 'float32'],
    ];
    const tensors = dtypes.map(([name, dtype]) => ({ ...toWrite(name, [7, 3], noise(21)), dtype }));
    const bytes = (await written(safetensorsWriter.write({ name: 'x', tensors: [...tensors, toWrite('e', [4, 1], noise(4))] }))).get('x')!;
    const { __metadata__: metadata, ...entries } = headerOf(bytes);
    expect(Object.keys(entries)).toEqual(['d', 'e', 'a_palette', 'c_scale', 'b', 'a', 'c']);
    expect(Object.keys(metadata)).toEqual(['vgg.int8', 'vgg.int4', 'vgg.int4.shapes']);
    const file = await openWeights(bytesSource(bytes));
    expect([...file.tensors].map(([name, { dtype }]) => [name, dtype])).toEqual(expect.arrayContaining([...dtypes, ['e', 'float32']]));
    for (const { name, values } of tensors) {
      const [given, read] = [await values(), await file.read(name)];
      const error = Math.max(...given.map((value, i) => Math.abs(value - read[i]!)));
      expect(error).toBeLessThan({ a: 0.5, b: 0.001, c: 0.01, d: 1e-9 }[name]!);
    }
  });

  test('other formats refuse it, and types side by side, in one sentence', async () => {
    const tensor = toWrite('conv1_1.weight', [3, 3, 3, 5], noise(135));
    for (const writer of WRITERS.filter(({ mixed }) => !mixed)) {
      expect(writer.dtypes).not.toContain('int4');
      await refuses(() => writer.write({ name: 'a', tensors: [tensor], dtype: 'int4' }), 'VGG_OPTION', /received int4; write safetensors/);
      const mixed = { name: 'a', tensors: [tensor, { ...tensor, name: 'b', dtype: 'float16' as const }] };
      await refuses(() => writer.write(mixed), 'VGG_OPTION', /expected one dtype for all tensors, .*float16 for "b"/);
    }
  });

  test('a sound file of a stranger, for what the hostile ones change', async () => {
    const file = await openWeights(raw(sound(), shapes('{"w":[3,2]}')));
    expect(file.tensors.get('w')).toMatchObject({ shape: [3, 2], dtype: 'int4' });
    expect(await file.read('w')).toEqual(new Float32Array(6));
    // Without the metadata they are bytes and a matrix.
    expect([...(await openWeights(raw(sound(), {}))).tensors.keys()]).toEqual(['w', 'w_palette']);
    const empty = { w: ['U8', [0], 0], w_palette: ['F32', [5, 16], 320] } as unknown as Tensors;
    expect(await (await openWeights(raw(empty, shapes('{"w":[0,5]}')))).read('w')).toEqual(new Float32Array(0));
  });

  test.each<[string, Tensors, string, string | RegExp]>([
    ['a shape of fewer values', sound(), '{"w":[2,2]}', /expected 2 bytes \(U8 \[2\]\) for int4 tensor "w" \[2,2\], received uint8 \[3\]/],
    ['a shape of more values', sound(), '{"w":[7,1]}', /expected 4 bytes/],
    [
      'a shape of more channels',
      sound(),
      '{"w":[1,6]}',
      /expected "w_palette" as F32 \[6,16\] beside int4 tensor "w", received float32 \[2,16\]/,
    ],
    ['no palette', { w: ['U8', [3], 3] }, '{"w":[3,2]}', /expected "w_palette" .* received no such tensor/],
    ['a palette of 15', sound({ w_palette: ['F32', [2, 15], 120] }), '{"w":[3,2]}', /received float32 \[2,15\]/],
    ['a palette of another type', sound({ w_palette: ['F16', [2, 16], 64] }), '{"w":[3,2]}', /received float16/],
    ['a palette with another axis', sound({ w_palette: ['F32', [2, 16, 1], 128] }), '{"w":[3,2]}', /received float32 \[2,16,1\]/],
    ['indices of another type', sound({ w: ['I8', [3], 3] }), '{"w":[3,2]}', /expected 3 bytes .* received int8/],
    ['indices of two axes', sound({ w: ['U8', [3, 1], 3] }), '{"w":[3,2]}', /received uint8 \[3,1\]/],
    ['a tensor that is not there', sound(), '{"v":[3,2]}', /for int4 tensor "v" .* received no such tensor/],
    ['a name of the language', sound(), '{"__proto__":[3,2]}', /"__proto__" .* received no such tensor/],
    ['a shape that is none', sound(), '{"w":"3,2"}', /expected a shape of whole numbers for int4 tensor "w"/],
    ['a shape of halves', sound(), '{"w":[1.5,4]}', /expected a shape of whole numbers/],
    ['a negative shape', sound(), '{"w":[-3,-2]}', /expected a shape of whole numbers/],
    ['a shape without axes', sound(), '{"w":[]}', /expected a shape of whole numbers/],
    ['a shape past all limits', sound(), '{"w":[1000000000,1000000000]}', /at most 268435456 values/],
    ['a shape of many axes', sound(), `{"w":[${'1,'.repeat(3000)}6]}`, /on 8 axes/],
  ])('%s is refused', async (_, tensors, text, message) => {
    await refuses(openWeights(raw(tensors, shapes(text))), 'VGG_INTEGRITY', message);
  });

  test('shapes that are no JSON, or nested without end, are refused', async () => {
    await refuses(openWeights(raw(sound(), shapes('nonsense'))), 'VGG_FORMAT', 'vgg.int4.shapes');
    await refuses(openWeights(raw(sound(), shapes('['.repeat(100)))), 'VGG_INTEGRITY', 'vgg.int4.shapes');
  });
});
