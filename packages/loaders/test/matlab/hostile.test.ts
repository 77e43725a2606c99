import { isVggError, turn } from '@vgg/errors';
import { describe, expect, test } from 'vitest';
import { concat } from '../../src/bytes.js';
import { matlab5, matlab73 } from '../../src/formats/matlab/index.js';
import { bytesSource, openWeights, type WeightFile } from '../../src/index.js';
import { counted, fixture, refuses } from '../helpers.js';
import { random } from '../random.js';

const open = (bytes: Uint8Array, name = 'x.mat'): Promise<WeightFile> =>
  openWeights(bytesSource(bytes, name), { formats: [matlab5, matlab73] });

const words = (...values: number[]) => new Uint8Array(new Uint32Array(values).buffer);
const text = (value: string) => new TextEncoder().encode(value);

/** An element; `size` is what its tag says where that is not true. */
function element(type: number, data: Uint8Array, size = data.length): Uint8Array {
  return concat([words(type, size), data, new Uint8Array((8 - (data.length % 8)) % 8)]);
}

function matrix(kind: number, shape: number[], parts: Uint8Array[], name = 'a', flags = 0): Uint8Array {
  return element(14, concat([element(6, words(kind | (flags << 8), 0)), element(5, words(...shape)), element(1, text(name)), ...parts]));
}

const floats = (...values: number[]) => element(7, new Uint8Array(new Float32Array(values).buffer));
const single = (...values: number[]) => matrix(7, [1, values.length], [floats(...values)], '');

function file(...variables: Uint8Array[]): Uint8Array {
  const head = new Uint8Array(128).fill(0x20);
  head.set(text('MATLAB 5.0 MAT-file'));
  head.set([0, 1, 0x49, 0x4d], 124);
  return concat([head, ...variables]);
}

async function packed(data: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([data as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream('deflate'));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return concat([words(15, bytes.length), bytes]);
}

test('what the pieces make is a file', async () => {
  const good = file(matrix(7, [1, 2], [floats(1, 2)]), await packed(matrix(1, [1, 1], [single(3, 4)], 'c')));
  const opened = await open(good);
  expect([...(await opened.read('a'))]).toEqual([1, 2]);
  expect([...(await opened.read('c{1}'))]).toEqual([3, 4]);
});

describe('MATLAB 5', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['an array larger than its element', matrix(7, [1, 3], [floats(1, 2)]), /\[1,3\] has 8 bytes/],
    ['an array of 2^40 values', matrix(7, [2 ** 20, 2 ** 20], [floats(1)]), /at most \d+ values/],
    ['an array of a negative size', matrix(7, [1, -1], [floats(1)]), /whole numbers/],
    ['an array of many axes', matrix(7, new Array(32).fill(1), [floats(1)]), /axes/],
    ['a shape of more axes than an element may have', matrix(7, new Array(64).fill(1), [floats(1)]), /at most 128 bytes/],
    ['numbers of a type that is none', matrix(7, [1, 1], [element(99, new Uint8Array(4))]), /type 99/],
    ['a part that passes its array', element(14, concat([words(6, 4000), new Uint8Array(8)])), /passes the end/],
    ['a part of 4 GB', element(14, concat([words(6, 0xffffffff), new Uint8Array(8)])), /passes the end/],
    ['a variable that passes the file', concat([words(14, 4000), new Uint8Array(8)]), /passes the end/],
    ['a variable that is no array', element(1, text('abc')), /expected a variable/],
    ['flags that are no flags', element(14, element(5, words(1, 1))), /type 6/],
    ['flags that end early', element(14, element(6, words(7))), /flags/],
    ['a small element of more than 4 bytes', concat([words((5 << 16) | 14, 0)]), /small element/],
    ['a cell of 2^26 parts', matrix(1, [8192, 8192], [single(1)]), /at most 65536 values/],
    ['a cell with fewer parts than it says', matrix(1, [1, 3], [single(1)]), /passes the end/],
    ['a cell of something else', matrix(1, [1, 1], [floats(1)]), /in a cell or struct/],
    ['a text of 8 MB', matrix(4, [1, 2 ** 23], [element(2, new Uint8Array(2 ** 23))]), /at most/],
    ['a name of 2 KB', matrix(7, [1, 1], [floats(1)], 'n'.repeat(2048)), /at most 1024 bytes/],
    ['a struct whose field names have no length', struct(0, 'ab'), /field names of 0/],
    ['a struct whose field names have a negative length', struct(-8, 'ab'), /field names of -8/],
    ['a struct whose field names are not that long', struct(4, 'abcdef'), /field names of 4/],
    ['a struct with two fields of one name', struct(2, 'a\0a\0'), /two fields of one name/],
    ['a struct of a thousand million parts', struct(2, 'a\0', [2 ** 15, 2 ** 15]), /at most/],
    ['a struct with too few values', struct(2, 'a\0b\0'), /passes the end/],
    ['two variables of one name', concat([matrix(7, [1, 1], [floats(1)]), matrix(7, [1, 1], [floats(1)])]), /two variables/],
  ])('%s', (_, variable, message) => refuses(open(file(variable)), 'VGG_INTEGRITY', message));

  test('cells in cells in cells', async () => {
    let deep = single(1);
    for (let i = 0; i < 40; i++) deep = matrix(1, [1, 1], [deep], i === 39 ? 'deep' : '');
    await refuses(open(file(deep)), 'VGG_INTEGRITY', /at most 32 deep/);
    await refuses(open(file(await packed(deep))), 'VGG_INTEGRITY', /at most 32 deep/);
  });

  test('more values than any network has', async () => {
    const many = matrix(1, [1, 65536], [new Uint8Array(65536 * 8).map((_, i) => (i % 8 === 0 ? 14 : 0))]);
    await refuses(open(file(many)), 'VGG_INTEGRITY', /at most 65536 values/);
    expect((await packed(many)).length).toBeLessThan(4096);
    await refuses(open(file(await packed(many))), 'VGG_INTEGRITY', /at most 65536 values/);
  });

  test('objects, functions and sparse arrays are not looked into', async () => {
    for (const kind of [3, 5, 16])
      await refuses(open(file(matrix(kind, [1, 1], [element(99, words(1, 2, 3))]))), 'VGG_FORMAT', /an object|a sparse|a function/);
    // What an opaque object has instead of a shape and a name is not known.
    await refuses(open(file(matrix(17, [1, 1], []))), 'VGG_FORMAT', /no variables/);
    const complex = matrix(7, [1, 1], [floats(1), floats(2)], 'a', 8);
    await refuses(open(file(complex)), 'VGG_FORMAT', /complex/);
    await refuses(open(file()), 'VGG_FORMAT', /no variables/);
  });

  test('a text of a billion rows and no characters', async () => {
    const empty = matrix(4, [2 ** 30, 0], [element(16, text(''))], 't');
    expect([...(await open(file(empty, matrix(7, [1, 2], [floats(1, 2)])))).tensors.keys()]).toEqual(['a']);
  });

  test('paths that are long because each of their parts is', async () => {
    const long = 'n'.repeat(1000);
    const fields = (value: Uint8Array) => matrix(2, [1, 1], [element(5, words(1001)), element(1, text(`${long}\0`)), value], '');
    let value = matrix(1, [1, 2000], Array(2000).fill(single(1)), '');
    for (let depth = 0; depth < 20; depth++) value = fields(value);
    await refuses(open(file(matrix(1, [1, 1], [value]))), 'VGG_INTEGRITY', /characters of paths/);
  });

  test('a field called __proto__ is a name like any other', async () => {
    const item = matrix(2, [1, 1], [element(5, words(16)), element(1, text('__proto__\0\0\0\0\0\0\0')), single(1, 2)], '__proto__');
    expect([...(await open(file(item))).tensors.keys()]).toEqual(['__proto__.__proto__']);
  });
});

/** A struct with these bytes as field names, and one value. */
function struct(nameLength: number, names: string, shape: number[] = [1, 1]): Uint8Array {
  return matrix(2, shape, [element(5, words(nameLength)), element(1, text(names)), single(1)]);
}

describe('compressed variables', () => {
  test('one that is said to unpack to gigabytes is not unpacked', async () => {
    const shape = [2 ** 14, 2 ** 14];
    const head = concat([element(6, words(7, 0)), element(5, words(...shape)), element(1, text('bomb')), words(7, 2 ** 30)]);
    const bomb = concat([words(14, 2 ** 30 + head.length), head, new Uint8Array(2 ** 20)]);
    await refuses(open(file(await packed(bomb))), 'VGG_INTEGRITY', /said to unpack to more than/);
  });

  test('many that together unpack to gigabytes', async () => {
    const zeros = await packed(matrix(9, [2048, 2048], [element(9, new Uint8Array(2 ** 25))], 'z'));
    expect(zeros.length).toBeLessThan(40_000);
    const renamed = Array.from({ length: 8 }, () => zeros);
    await refuses(open(file(...renamed)), 'VGG_INTEGRITY', /two variables|more than/);
    const unnamed = await packed(matrix(9, [2048, 2048], [element(9, new Uint8Array(2 ** 25))], ''));
    await refuses(open(file(...Array.from({ length: 8 }, () => unnamed))), 'VGG_INTEGRITY', /said to unpack to more than/);
  });

  test('more of them than any network has', async () => {
    const unnamed = await packed(element(14, new Uint8Array(0)));
    await refuses(open(file(...Array.from({ length: 60_000 }, () => unnamed))), 'VGG_INTEGRITY', /at most 1024 variables/);
  });

  test('no more is unpacked than is asked for', async () => {
    const next = random(1);
    const noise = matrix(
      9,
      [1, 2 ** 20],
      [
        element(
          9,
          Uint8Array.from({ length: 2 ** 23 }, () => next() * 256),
        ),
      ],
      '',
    );
    const source = counted(bytesSource(file(await packed(matrix(1, [1, 2], [single(1, 2), noise], 'c'))), 'x.mat'));
    const opened = await matlab5.open(source);
    expect(source.bytes).toBeGreaterThan(2 ** 23);
    source.bytes = 0;
    expect([...(await opened.read('c{1}'))]).toEqual([1, 2]);
    for (let i = 0; i < 50; i++) await turn();
    expect(source.bytes).toBeLessThanOrEqual(2 ** 20);
  });

  test('what unpacks to more than it says is left where it ends; to less, refused', async () => {
    const long = await packed(concat([matrix(7, [1, 2], [floats(1, 2)]), new Uint8Array(2 ** 20)]));
    expect([...(await (await open(file(long))).read('a'))]).toEqual([1, 2]);
    const short = await packed(matrix(7, [1, 2], [floats(1, 2)]).subarray(0, -4));
    await refuses(open(file(short)), 'VGG_INTEGRITY', /ends early/);
  });

  test('what is no zlib stream, is cut, or has a wrong sum', async () => {
    const good = await packed(matrix(7, [1, 2000], [floats(...Array.from({ length: 2000 }, (_, i) => Math.sin(i)))]));
    const noise = good.slice();
    noise[8]! ^= 0xff;
    await refuses(open(file(noise)), 'VGG_INTEGRITY', /does not unpack/);
    await refuses(open(file(good.subarray(0, good.length - 100))), 'VGG_INTEGRITY', /passes the end/);
    const cut = concat([words(15, 3000), good.subarray(8, 3008)]);
    await refuses(
      open(file(cut)).then((opened) => opened.read('a')),
      'VGG_INTEGRITY',
      /ends early|does not unpack/,
    );
  });
});

describe('MATLAB 7.3', () => {
  test('a cell that contains itself', async () => refuses(open(await fixture('matlab/cycle-73.mat')), 'VGG_INTEGRITY', /contains itself/));

  test('cells that share their parts, and would be 10^14 values', async () =>
    refuses(open(await fixture('matlab/forest-73.mat')), 'VGG_INTEGRITY', /at most 65536 values/));

  test('a text of a billion rows and no characters', async () => {
    expect([...(await open(await fixture('matlab/rows-73.mat'))).tensors.keys()]).toEqual(['b']);
  });

  test('30,000 layers of 30,000 weights that are all the same', async () =>
    refuses(open(await fixture('matlab/layers-73.mat')), 'VGG_INTEGRITY', /at most 65536 values/));

  test('60,000 names of classes that are one long text are not put together', async () => {
    const opened = await open(await fixture('matlab/texts-73.mat'));
    expect(opened.metadata.has('classes')).toBe(false);
    // Of a network, settings are left out; what lies in a megabyte of zeros is not unpacked to see whether it is one.
    expect([...opened.tensors.keys()]).toEqual(['conv1.weight', 'meta.wide']);
    expect([...(await opened.read('meta.wide'))]).toEqual([1]);
  });

  test('a struct whose fields are one list of references', async () =>
    refuses(open(await fixture('matlab/columns-73.mat')), 'VGG_INTEGRITY', /bytes of HDF5 metadata/));

  test('a reference to no object, and one outside the file', async () => {
    const bytes = await fixture('matlab/cycle-73.mat');
    const whole = new DataView(bytes.buffer);
    const places: number[] = [];
    const source = new Uint8Array(bytes);
    // The only reference of the file is to the dataset that holds it.
    for (let at = 2048; at + 8 <= source.length; at++) if (at % 8 === 0 && isReference(whole, at)) places.push(at);
    expect(places.length).toBeGreaterThan(0);
    for (const [target, message] of [
      [0x400n, /cut or corrupt|version/],
      [0xffffff0n, /bytes|cut/],
    ] as const) {
      const changed = bytes.slice();
      for (const at of places) new DataView(changed.buffer).setBigUint64(at, target, true);
      await refuses(open(changed), 'VGG_INTEGRITY', message);
    }
  });
});

/** Whether these 8 bytes are the address of the object header of `loop`. */
function isReference(view: DataView, at: number): boolean {
  const value = view.getBigUint64(at, true);
  return value > 0x100n && value < BigInt(view.byteLength - 512) && view.getUint8(Number(value) + 512) === 1;
}

describe.each<[string, number]>([
  ['matconvnet.mat', 400],
  ['matconvnet-old.mat', 400],
  ['arrays.mat', 300],
  ['dag-73.mat', 100],
  ['matconvnet-73.mat', 100],
])('%s', (name, count) => {
  test(`${count} seeded mutations give values or a VggError`, async () => {
    const bytes = await fixture(`matlab/${name}`);
    const next = random(count + name.length);
    let refused = 0;
    for (let i = 0; i < count; i++) {
      const changed = bytes.slice();
      for (let changes = 1 + Math.floor(next() * 4); changes > 0; changes--) {
        const at = 116 + Math.floor(next() * (changed.length - 116));
        if (next() < 0.5) changed[at] = Math.floor(next() * 256);
        else changed.fill(next() < 0.5 ? 255 : 0, at, at + 1 + Math.floor(next() * 8));
      }
      try {
        const opened = await open(next() < 0.1 ? changed.subarray(0, Math.floor(next() * changed.length)) : changed, name);
        for (const key of opened.tensors.keys()) await opened.read(key);
        await opened.close();
      } catch (error) {
        if (!isVggError(error)) throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(0);
  });
});
