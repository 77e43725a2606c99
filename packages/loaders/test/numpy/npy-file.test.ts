import { expect, test } from 'vitest';
import { npyHeader } from '../../src/formats/numpy/npy.js';
import { npy } from '../../src/formats/numpy/npy-file.js';
import { bytesSource, encodeNpy, type Source, type WeightFile } from '../../src/index.js';
import { counted, fixture, ramp, refuses } from '../helpers.js';
import { random } from '../random.js';
import { concat } from '../zip/helpers.js';

const open = (bytes: Uint8Array, name = 'x.npy') => npy.open(bytesSource(bytes, name));
const streamed = async (file: WeightFile, name: string) => {
  const values: number[] = [];
  for await (const piece of file.stream(name)) values.push(...piece);
  return values;
};

test.each(['numpy-fortran-big-f8.npy', 'numpy-v2-i2.npy', 'numpy-v3-f2.npy', 'numpy-2x3.npy'])('%s, written by numpy', async (name) => {
  const bytes = await fixture(`numpy/${name}`);
  expect(npy.match(bytes.subarray(0, 4096), bytesSource(bytes))).toBe(true);
  const file = await open(bytes, `some/where/${name}`);
  const [info] = [...file.tensors.values()];
  expect(info).toMatchObject({ name: name.slice(0, -4), present: true, shape: name === 'numpy-2x3.npy' ? [2, 3] : [2, 3, 4] });
  expect(file.format).toBe('npy');
  const values = await file.read(info!.name);
  expect([...values]).toEqual(ramp(values.length));
  if (!info!.axes) expect(await streamed(file, info!.name)).toEqual([...values]);
});

test('Fortran order is told, and streams as it is', async () => {
  const file = await open(await fixture('numpy/numpy-fortran-big-f8.npy'), 'a.npy');
  expect(file.tensors.get('a')).toMatchObject({ axes: [2, 1, 0], dtype: 'float64' });
  const values = ramp(24);
  const expected = Array.from({ length: 24 }, (_, i) => values[(i % 2) * 12 + (Math.floor(i / 2) % 3) * 4 + Math.floor(i / 6)]);
  expect(await streamed(file, 'a')).toEqual(expected);
});

test('only the header is read until values are asked for', async () => {
  const source = counted(bytesSource(encodeNpy(new Float32Array(1e6), [1000, 1000]), 'big.npy'));
  const file = await npy.open(source);
  expect([source.reads, source.bytes]).toEqual([1, 4096]);
  await file.read('big');
  expect([source.reads, source.bytes]).toEqual([2, 4096 + 4e6]);
});

test('a file without a name of its own, and its end', async () => {
  let closed = 0;
  const source: Source = { ...bytesSource(encodeNpy(new Float32Array(2), [2]), '.npy'), close: async () => void closed++ };
  const file = await npy.open(source);
  expect([...file.tensors.keys()]).toEqual(['array']);
  await file.close();
  expect(closed).toBe(1);
});

/** A file of version 1 with this header and these many bytes of zeros behind it. */
function withHeader(text: string, zeros: number, version = 1): Uint8Array {
  const header = new TextEncoder().encode(text);
  const head = new Uint8Array([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0, header.length & 255, header.length >> 8]);
  return concat([head, ...(version > 1 ? [new Uint8Array(2)] : []), header, new Uint8Array(zeros)]);
}

test.each([
  `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`,
  `{"shape": (2L, 3L), "fortran_order": True, "descr": "|u4"}\n`,
  `{ 'shape' : ( 6 , ) ,'descr':'=i4','fortran_order':False}   `,
])('headers as other writers have them: %s', async (text) => {
  const file = await open(withHeader(text, 24));
  expect((await file.read('x')).length).toBe(6);
});

test.each<[string, string, number, 'VGG_FORMAT' | 'VGG_INTEGRITY', RegExp]>([
  ['text', `{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }`, 24, 'VGG_FORMAT', /array of numbers/],
  ['complex numbers', `{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }`, 16, 'VGG_FORMAT', /array of numbers, received .*c8/],
  [
    'a structure',
    `{'descr': [('a', '<f4'), ('b', [('c', '|u1')])], 'fortran_order': False, 'shape': (2,), }`,
    8,
    'VGG_FORMAT',
    /array of numbers/,
  ],
  ['a key twice', `{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (2,), }`, 8, 'VGG_FORMAT', /numeric array/],
  ['a key too many', `{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}`, 8, 'VGG_FORMAT', /numeric array/],
  ['a key too few', `{'descr': '<f4', 'shape': (2,), }`, 8, 'VGG_FORMAT', /numeric array/],
  ['Python code', `__import__('os').system('true')`, 8, 'VGG_FORMAT', /numeric array/],
  ['a negative size', `{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }`, 8, 'VGG_FORMAT', /numeric array/],
  ['no tuple', `{'descr': '<f4', 'fortran_order': False, 'shape': (2 3), }`, 8, 'VGG_FORMAT', /numeric array/],
  [
    'a shape whose product wraps',
    `{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }`,
    0,
    'VGG_INTEGRITY',
    /at most/,
  ],
  [
    'a size past what numbers hold',
    `{'descr': '<f4', 'fortran_order': False, 'shape': (9007199254740993,), }`,
    0,
    'VGG_INTEGRITY',
    /whole numbers/,
  ],
  ['too many axes', `{'descr': '<f4', 'fortran_order': False, 'shape': (${'1, '.repeat(40)}), }`, 4, 'VGG_INTEGRITY', /8 axes/],
  [
    'bytes too few',
    `{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }`,
    7,
    'VGG_INTEGRITY',
    /expected 8 bytes of values, received 7/,
  ],
  [
    'bytes too many',
    `{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }`,
    9,
    'VGG_INTEGRITY',
    /expected 8 bytes of values, received 9/,
  ],
])('%s is refused', (_, text, zeros, code, sentence) => refuses(open(withHeader(text, zeros)), code, sentence));

test('other versions, and headers past the limit or the end', async () => {
  await refuses(open(withHeader('{}', 20, 4)), 'VGG_FORMAT', /version 1, 2 or 3, received 4/);
  const long = withHeader('{}', 20, 2);
  long[10] = 9;
  await refuses(open(long), 'VGG_INTEGRITY', /header within the file/);
  const bytes = concat([npyHeader([2]), new Uint8Array(8)]);
  for (let length = 0; length < bytes.length; length++) {
    await refuses(open(bytes.slice(0, length)), length < 12 ? 'VGG_FORMAT' : 'VGG_INTEGRITY', /x\.npy/);
  }
});

test('changed bytes give values or a refusal', async () => {
  const next = random(7);
  let opened = 0;
  const original = await fixture('numpy/numpy-2x3.npy');
  for (let i = 0; i < 600; i++) {
    const bytes = original.slice();
    for (let changes = 1 + Math.floor(next() * 3); changes > 0; changes--) bytes[Math.floor(next() * 128)] = next() * 128;
    await open(bytes)
      .then(async (file) => {
        opened++;
        expect((await file.read('x')).length).toBeLessThanOrEqual(24);
      })
      .catch((error: unknown) => {
        if ((error as Error).name !== 'VggError') throw error;
      });
  }
  expect(opened).toBeGreaterThan(0);
});
