import { expect, test } from 'vitest';
import { openObjectNpy } from '../../src/formats/pickle/object-npy.js';
import { pickledArrays } from '../../src/formats/pickle/pickled-arrays.js';
import { bytesSource, canonicalise, type WeightFile } from '../../src/index.js';
import expectedValues from '../fixtures/pickle/object-npy.json';
import { counted, fixture, refuses } from '../helpers.js';
import { checksums, little, pickle } from './helpers.js';

const EXPECTED = expectedValues as unknown as Record<string, Record<string, [shape: number[], crc: number]>>;

async function openFixture(name: string): Promise<WeightFile> {
  const bytes = await fixture(`pickle/${name}`);
  const source = bytesSource(bytes, name);
  if (name.endsWith('.npy')) return openObjectNpy(source, 10 + bytes[8]! + 256 * bytes[9]!, name);
  expect(pickledArrays.match(bytes.subarray(0, 4096), source)).toBe(true);
  return pickledArrays.open(source);
}

test.each(Object.keys(EXPECTED))('%s, written by numpy', async (name) => {
  const file = await openFixture(name);
  expect([...file.tensors.values()].map(({ name, shape }) => [name, shape])).toEqual(
    Object.entries(EXPECTED[name]!).map(([key, [shape]]) => [key, shape]),
  );
  const sums = await checksums(file);
  for (const [key, [, crc]] of Object.entries(EXPECTED[name]!)) expect(sums.get(key), key).toEqual([crc, crc]);
});

test('the values stay in the file until they are asked for', async () => {
  const bytes = await fixture('pickle/object-3.npy');
  const source = counted(bytesSource(bytes));
  const file = await openObjectNpy(source, 128, 'x.npy');
  expect(source.reads).toBe(1); // a small file: a large one is read around its arrays, see pickle.test.ts
  expect(file.tensors.get('fc6.weight')).toMatchObject({ storedAs: 'fc6/0', dtype: 'float64', axes: [1, 0] });
  await file.read('conv1_1.weight');
  expect([source.reads, source.bytes - bytes.length + 128]).toEqual([2, 4608]);
});

test('its names are those of the canonical naming', async () => {
  for (const name of ['object-2.npy', 'object-4.npy', 'object-python2.npy', 'object-bytes-keys.npy']) {
    const mapping = canonicalise(await openFixture(name), [
      { name: 'conv1_1', kind: 'conv', shape: [3, 3, 8, 16] },
      { name: 'fc6', kind: 'dense', shape: [6, 5] },
    ]);
    expect(mapping).toMatchObject({ naming: 'canonical', unknown: [] });
    expect(mapping.tensors.get('conv1_1.weight')).toMatchObject({ tensor: 'conv1_1.weight', present: true });
  }
});

const ARRAY = 'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R';
const F4 = 'cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R';

/** `{'a': array}` with this state. */
const one = (...state: Parameters<typeof pickle>) => pickle('\x80\x02}U\x01a', ARRAY, '(', ...state, 'tbs.');

async function openPickle(bytes: Uint8Array): Promise<WeightFile> {
  expect(pickledArrays.match(bytes, bytesSource(bytes))).toBe(true);
  return pickledArrays.open(bytesSource(bytes, 'x.pkl'));
}

test('an array whose values are not as many as its shape is refused when opened', async () => {
  const good = await openPickle(one('K\x01K\x02\x85', F4, '\x89', 'U\x08', [0, 0, 128, 63, 0, 0, 0, 64]));
  expect([...(await good.read('a'))]).toEqual([1, 2]);
  const state = (shape: string) => one('K\x01', shape, F4, '\x89U\x08', [0, 0, 128, 63, 0, 0, 0, 64]);
  await refuses(openPickle(state('K\x03\x85')), 'VGG_INTEGRITY', /8 bytes where its shape \[3\] takes 12/);
  await refuses(openPickle(state('J\xff\xff\xff\xff\x85')), 'VGG_INTEGRITY', /a list of 1 as its shape/);
  await refuses(openPickle(state(`(${'K\x01'.repeat(9)}t`)), 'VGG_INTEGRITY', /a list of 9 as its shape/);
  await refuses(openPickle(state(`(${'J\xff\xff\xff\x7f'.repeat(4)}t`)), 'VGG_INTEGRITY', /at most \d+ values/);
});

test('text that stands for no bytes is refused when it is read', async () => {
  // 5000 characters, so that they are left in the file, of two bytes each.
  const encoded = (character: number[]) => {
    const body = Array(5000).fill(character).flat();
    return one(
      'K\x01J',
      little(1250, 4),
      '\x85',
      F4,
      '\x89c_codecs\nencode\nX',
      little(body.length, 4),
      body,
      'X\x06\x00\x00\x00latin1\x86R',
    );
  };
  const good = await openPickle(encoded([0xc2, 0x80]));
  expect(new Uint32Array((await good.read('a')).buffer)[7]).toBe(0x80808080);
  for (const bad of [
    [0xc4, 0x80], // character 256
    [0xc2, 0x41],
    [0xff, 0x80],
  ]) {
    const file = await openPickle(encoded(bad));
    await refuses(file.read('a'), 'VGG_INTEGRITY', /text that stands for none/);
  }
  const short = await openPickle(encoded([0x41])); // half as many bytes as two of each would be
  expect((await short.read('a')).length).toBe(1250);
  const mixed = encoded([0xc2, 0x80]);
  mixed.set([0x41, 0x41], mixed.lastIndexOf(0x80) - 1); // one byte more
  await refuses((await openPickle(mixed)).read('a'), 'VGG_INTEGRITY', /more than the 5000 bytes/);
});

test('bytes of two characters may lie across the pieces that are read', async () => {
  const twos = 2 ** 21; // with the first character a byte more than a piece of 4 MB
  const body = new Uint8Array(1 + 2 * twos).fill(0xc2);
  for (let at = 2; at < body.length; at += 2) body[at] = 0x81;
  body[0] = 0x41;
  const u1 = F4.replace('f4', 'u1');
  const file = await openPickle(
    one('K\x01J', little(1 + twos, 4), '\x85', u1, '\x89c_codecs\nencode\nX', little(body.length, 4), body, 'X\x06\x00\x00\x00latin1\x86R'),
  );
  const values = await file.read('a');
  expect([values.length, values[0], values.subarray(1).every((value) => value === 0x81)]).toEqual([1 + twos, 0x41, true]);
});

test('a pair is one of a list, whatever else is in its dict', async () => {
  const array = `${ARRAY}(K\x01K\x01\x85${F4}\x89U\x04\0\0\0\0tb`;
  const wide = array.replace('K\x01\x85', 'K\x01K\x01\x86');
  const file = await openPickle(pickle('\x80\x02}U\x01a}(U\x010', wide, 'U\x011', array, 'U\x09__proto__', array, 'us.'));
  expect([...file.tensors.keys()]).toEqual(['a.weight', 'a.bias', 'a.__proto__']);
});

test('what holds no numbers is refused', async () => {
  await refuses(openPickle(pickle('\x80\x02}.')), 'VGG_FORMAT', /without an array of numbers/);
  const objects = one('K\x01)', 'cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R', '\x89]');
  await refuses(openPickle(objects), 'VGG_FORMAT', /without an array of numbers/);
});

test('a line of protocol 0 that is an array is refused with what to do', async () => {
  const bytes = pickle("(dp0\nS'a'\np1\nV", 'x'.repeat(5000), '\np2\ns.');
  await refuses(openPickle(bytes), 'VGG_FORMAT', /save it with protocol 2 or later/);
});

test('one array in many places is as many tensors, up to a limit, and its values are there once', async () => {
  const array = `${ARRAY}(K\x01K\x01\x85${F4}\x89U\x04\0\0\x80\x3ftbq\x05`;
  const list = (count: number) => openPickle(pickle('\x80\x02](', array, 'h\x05'.repeat(count - 1), 'e.'));
  const file = await list(30_000);
  expect([...(await file.read('29999'))]).toEqual([1]);
  await refuses(list(40_000), 'VGG_INTEGRITY', /at most 32768 tensors/);
});
