import { describe, expect, test } from 'vitest';
import { npyHeader } from '../../src/formats/numpy/npy.js';
import { openNpz } from '../../src/formats/numpy/npz.js';
import { openZip } from '../../src/formats/zip/index.js';
import { bytesSource, encodeNpy, type WeightFile } from '../../src/index.js';
import npz from '../fixtures/numpy/npz.json';
import { counted, fixture, refuses } from '../helpers.js';
import { random } from '../random.js';
import { buildZip, concat, type Member } from '../zip/helpers.js';

interface Fact {
  shape: number[];
  sum: number;
  first: number[];
}
const FACTS = npz as unknown as Record<string, Record<string, Fact>>;

async function open(bytes: Uint8Array, name = 'x.npz'): Promise<WeightFile> {
  const source = bytesSource(bytes, name);
  return openNpz(await openZip(source), source);
}
const openBuilt = async (members: Member[]) => open(await buildZip(members));

async function streamed(file: WeightFile, name: string): Promise<Float32Array> {
  const pieces: number[] = [];
  for await (const piece of file.stream(name)) pieces.push(...piece);
  return Float32Array.from(pieces);
}

describe('files that NumPy wrote', () => {
  test.each([
    ['vgg16-frossard.npz', 'vgg16-frossard.npz'],
    ['vgg16-frossard-compressed.npz', 'vgg16-frossard.npz'],
    ['numpy-mixed.npz', 'numpy-mixed.npz'],
    ['numpy-mixed-compressed.npz', 'numpy-mixed.npz'],
    ['numpy-descriptors.npz', 'numpy-descriptors.npz'],
  ])('%s has the values that NumPy reads', async (name, facts) => {
    const file = await open(await fixture(`numpy/${name}`), name);
    expect(file.format).toBe('npz');
    const expected = FACTS[facts]!;
    expect([...file.tensors.keys()].sort()).toEqual(Object.keys(expected).sort());
    for (const [tensor, { shape, sum, first }] of Object.entries(expected)) {
      const info = file.tensors.get(tensor)!;
      expect(info.shape, tensor).toEqual(shape);
      const values = await file.read(tensor);
      expect([...values.slice(0, 4)], tensor).toEqual(first);
      expect(
        values.reduce((total, value) => total + value, 0),
        tensor,
      ).toBeCloseTo(sum, 4);
      if (!info.axes) expect(await streamed(file, tensor)).toEqual(values);
    }
  });

  test('the members of vgg16_weights.npz', async () => {
    const file = await open(await fixture('numpy/vgg16-frossard.npz'));
    expect([...file.tensors.keys()].slice(0, 2)).toEqual(['conv1_1_W', 'conv1_1_b']);
    expect(file.tensors.size).toBe(32);
    expect(file.tensors.get('conv1_1_W')!.shape).toEqual([3, 3, 3, 2]);
    expect(file.tensors.get('fc6_W')!.shape).toEqual([16, 6]);
  });

  test.each(['numpy-mixed.npz', 'numpy-mixed-compressed.npz'])('%s: types, orders and texts', async (name) => {
    const file = await open(await fixture(`numpy/${name}`));
    expect(file.tensors.get('fortran')).toMatchObject({ shape: [2, 3, 4], axes: [2, 1, 0] });
    expect([...file.tensors.values()].map(({ name: tensor, dtype }) => [tensor, dtype])).toEqual(
      expect.arrayContaining([
        ['big', 'float64'],
        ['half', 'float16'],
        ['counts', 'int16'],
        ['flags', 'bool'],
        ['arr_0', 'float32'],
      ]),
    );
    expect([...(await file.read('counts'))]).toEqual([-3, -2, -1, 0, 1, 2, 3]);
    expect([...(await file.read('flags'))]).toEqual([1, 0, 1]);
    expect([...file.metadata]).toEqual([['licence', 'CC BY 4.0 \u{1d11e}']]);
  });

  test('none of numbers', async () => {
    await refuses(open(await fixture('numpy/numpy-no-numbers.npz')), 'VGG_FORMAT', /arrays of numbers, received "objects" of .*\|O/);
    await refuses(openBuilt([]), 'VGG_FORMAT', /arrays of numbers, received none/);
  });
});

test('a stored array is read in one go, and a packed one not before it is asked for', async () => {
  const values = Float32Array.from({ length: 100_000 }, (_, i) => i);
  const bytes = await buildZip([
    { name: 'a.npy', data: encodeNpy(values, [1000, 100]) },
    { name: 'b.npy', data: encodeNpy(values, [100_000]), deflate: true },
  ]);
  const source = counted(bytesSource(bytes, 'x.npz'));
  const file = await openNpz(await openZip(source), source);
  expect(source.bytes).toBeLessThan(130_000);
  const before = source.bytes;
  const read = await file.read('a');
  expect(source.bytes - before).toBe(400_000);
  expect(read.findIndex((value, i) => value !== i)).toBe(-1);
  expect((await file.read('b')).findIndex((value, i) => value !== i)).toBe(-1);
  await refuses(file.read('c'), 'VGG_WEIGHTS_MISSING', /"c"/);
  await refuses(file.read('b', { signal: AbortSignal.abort() }), 'VGG_ABORTED', /AbortSignal/);
});

describe('refused', () => {
  const array = encodeNpy(new Float32Array(4), [2, 2]);

  test('an array of more or fewer bytes than its shape says', async () => {
    for (const deflate of [false, true]) {
      await refuses(
        openBuilt([{ name: 'a.npy', data: array.slice(0, -1), deflate }]),
        'VGG_INTEGRITY',
        /a\.npy: expected 16 bytes of values, received 15/,
      );
      await refuses(openBuilt([{ name: 'a.npy', data: array.slice(0, 50), deflate }]), 'VGG_INTEGRITY', /a\.npy: expected/);
      await refuses(openBuilt([{ name: 'a.npy', data: new Uint8Array(0), deflate }]), 'VGG_FORMAT', /a\.npy: expected a \.npy file/);
      await refuses(
        openBuilt([{ name: 'a.npy', data: new TextEncoder().encode('no array at all'), deflate }]),
        'VGG_FORMAT',
        /expected a \.npy file/,
      );
    }
  });

  test('a packed array whose values are not those of its checksum', async () => {
    const crc = { crc: 1 };
    const values = encodeNpy(
      new Float32Array(100_000).map((_, i) => i),
      [100_000],
    );
    const file = await openBuilt([{ name: 'a.npy', data: values, deflate: true, local: crc, central: crc }]);
    await refuses(file.read('a'), 'VGG_INTEGRITY', /checksum/);
  });

  test('thousands of arrays', async () => {
    const members = Array.from({ length: 1025 }, (_, i) => ({ name: `${i}.npy` }));
    await refuses(openBuilt(members), 'VGG_INTEGRITY', /at most 1024 arrays, received 1025/);
  });

  test('more text than metadata has', async () => {
    const text = (name: string, length: number) => ({
      name,
      deflate: true,
      data: concat([npyHeader([], `<U${length}`), new Uint8Array(4 * length)]),
    });
    const numbers = { name: 'a.npy', data: array };
    expect((await openBuilt([numbers, text('b.npy', 500_000)])).metadata.get('b')).toBe('');
    await refuses(openBuilt([numbers, text('b.npy', 1_050_000)]), 'VGG_INTEGRITY', /at most 4194304 bytes in "b\.npy"/);
    await refuses(openBuilt([numbers, text('b.npy', 600_000), text('c.npy', 600_000)]), 'VGG_INTEGRITY', /at most 17\d+ bytes in "c\.npy"/);
  });

  test('text of more bytes than there are, or that is none', async () => {
    const text = (descr: string, bytes: number[]) => {
      const header = new TextEncoder().encode(`{'descr': '${descr}', 'fortran_order': False, 'shape': (), }`);
      return { name: 't.npy', data: new Uint8Array([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0, ...header, ...bytes]) };
    };
    const numbers = { name: 'a.npy', data: array };
    expect((await openBuilt([numbers, text('<U2', [65, 0, 0, 0, 0, 0, 0, 0])])).metadata.get('t')).toBe('A');
    expect((await openBuilt([numbers, text('>U1', [0, 0, 0, 66])])).metadata.get('t')).toBe('B');
    await refuses(openBuilt([numbers, text('<U2', [65, 0, 0, 0])]), 'VGG_INTEGRITY', /8 bytes of text, received 4/);
    await refuses(openBuilt([numbers, text('<U999999999999', [65, 0, 0, 0])]), 'VGG_INTEGRITY', /bytes of text, received 4/);
    await refuses(openBuilt([numbers, text('<U1', [0, 0, 255, 255])]), 'VGG_INTEGRITY', /a character of number/);
  });
});

test('changed bytes give values or a refusal', async () => {
  const next = random(13);
  for (const name of ['numpy-mixed.npz', 'numpy-mixed-compressed.npz']) {
    const original = await fixture(`numpy/${name}`);
    let opened = 0;
    for (let i = 0; i < 200; i++) {
      const bytes = original.slice();
      for (let changes = 1 + Math.floor(next() * 3); changes > 0; changes--)
        bytes[Math.floor(next() * bytes.length)]! ^= 1 << Math.floor(next() * 8);
      const read = async () => {
        const file = await open(bytes);
        opened++;
        for (const tensor of file.tensors.keys()) expect((await file.read(tensor)).length).toBeLessThan(100);
      };
      await read().catch((error: unknown) => {
        if ((error as Error).name !== 'VggError') throw error;
      });
    }
    expect(opened).toBeGreaterThan(10);
  }
});
