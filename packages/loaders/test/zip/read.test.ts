import { describe, expect, test } from 'vitest';
import { crc32 } from '../../src/formats/crc.js';
import { openZip, readEntry, zipSource, zipStream } from '../../src/formats/zip/index.js';
import { bytesSource, type Source } from '../../src/index.js';
import { counted, fixture, refuses } from '../helpers.js';
import { random } from '../random.js';
import { buildZip, concat, deflateRaw, type Lies, type Member, zip64Extra } from './helpers.js';

const text = (value: string) => new TextEncoder().encode(value);
const hello = text('hello, archive');
const noise = (length: number, seed = 1) => {
  const next = random(seed);
  return Uint8Array.from({ length }, () => next() * 256);
};
/** What toEqual does, in a hundredth of the time. */
function expectSame(bytes: Uint8Array, expected: Uint8Array): void {
  expect(bytes.length).toBe(expected.length);
  expect(bytes.findIndex((byte, i) => byte !== expected[i])).toBe(-1);
}
const openBytes = (bytes: Uint8Array) => openZip(bytesSource(bytes, 'x.zip'));
const openBuilt = async (members: Member[], lies?: Lies) => openBytes(await buildZip(members, lies));

test('CRC-32 of the standard check, of nothing, and in parts', () => {
  expect(crc32(text('123456789'))).toBe(0xcbf43926);
  expect(crc32(new Uint8Array(0))).toBe(0);
  const bytes = noise(1000);
  for (const cut of [1, 7, 8, 9, 500, 993]) expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(crc32(bytes));
});

describe('an archive', () => {
  test('of stored and deflated members, with folders, a comment and zip64', async () => {
    for (const lies of [
      {},
      { comment: text('made by hand') },
      { zip64: {} },
      { zip64: {}, count: 0xffff, size: 0xffffffff, start: 0xffffffff },
    ]) {
      const members = [
        { name: 'a/' },
        { name: 'a/stored', data: hello },
        { name: 'packed', data: noise(300_000), deflate: true },
        { name: 'none' },
      ];
      const zip = await openBuilt(members, lies);
      expect([...zip.entries.values()].map(({ name, size, stored }) => [name, size, stored])).toEqual([
        ['a/stored', 14, true],
        ['packed', 300_000, false],
        ['none', 0, true],
      ]);
      expect(await readEntry(zip, 'a/stored', 14)).toEqual(hello);
      expectSame(await readEntry(zip, 'packed', 1e6), noise(300_000));
      expect(await readEntry(zip, 'none', 0)).toEqual(new Uint8Array(0));
    }
  });

  test('without members', async () => {
    expect((await openBuilt([])).entries.size).toBe(0);
  });

  test('has its directory read in one go, and of its members nothing', async () => {
    const source = counted(
      bytesSource(
        await buildZip([
          { name: 'a', data: noise(200_000) },
          { name: 'b', data: hello },
        ]),
        'x.zip',
      ),
    );
    const zip = await openZip(source);
    expect(source.reads).toBeLessThanOrEqual(2);
    expect(source.bytes).toBeLessThan(80_000);
    const slice = await zipSource(zip, zip.entries.get('a')!);
    expect([slice.name, slice.size]).toEqual(['a', 200_000]);
    expect(await slice.read(150_000, 10)).toEqual(noise(200_000).subarray(150_000, 150_010));
    await refuses(slice.read(199_999, 2), 'VGG_INTEGRITY', /cut or corrupt/);
  });

  test('whose sizes come behind the data, and in 64 bits', async () => {
    const later = { flags: 8, crc: 0, packed: 0, size: 0 };
    const long = { packed: 0xffffffff, size: 0xffffffff, extra: concat([new Uint8Array([9, 9, 1, 0, 0]), zip64Extra(14, 14)]) };
    const zip = await openBuilt([
      { name: 'later', data: hello, local: later, central: { flags: 8 } },
      { name: 'long', data: hello, local: long, central: long },
      { name: 'far', data: hello, central: { offset: 0xffffffff, extra: zip64Extra(2 * (30 + 14) + 5 + 4 + long.extra.length) } },
    ]);
    for (const name of zip.entries.keys()) expect(await readEntry(zip, name, 20)).toEqual(hello);
  });

  test('whose names are not ASCII', async () => {
    const zip = await openBuilt([
      { name: 'gew\u00f6hnlich', data: hello, central: { flags: 0x800 }, local: { flags: 0x800 } },
      { name: '', central: { name: new Uint8Array([0xe9, 0x20]) }, local: { name: new Uint8Array([0xe9, 0x20]) } },
    ]);
    expect([...zip.entries.keys()]).toEqual(['gew\u00f6hnlich', '\u00e9 ']);
  });
});

describe('a deflated member', () => {
  const plain = new Uint8Array(3_000_000).map((_, i) => (i >> 8) * 7 + (i % 13));

  test('comes in pieces, small ones first', async () => {
    const zip = await openBuilt([{ name: 'a', data: plain, deflate: true }]);
    const sizes: number[] = [];
    const parts: Uint8Array[] = [];
    for await (const piece of zipStream(zip, zip.entries.get('a')!)) {
      sizes.push(piece.length);
      parts.push(piece);
    }
    expect(sizes.slice(0, 3)).toEqual([2 ** 14, 2 ** 15, 2 ** 16]);
    expectSame(concat(parts), plain);
  });

  test('is not read further than asked for', async () => {
    const source = counted(bytesSource(await buildZip([{ name: 'a', data: noise(4_000_000), deflate: true }]), 'x.zip'));
    const zip = await openZip(source);
    const before = source.bytes;
    for await (const piece of zipStream(zip, zip.entries.get('a')!)) {
      expectSame(piece, noise(4_000_000).subarray(0, 2 ** 14));
      break;
    }
    expect(source.bytes - before).toBeLessThan(1_000_000);
  });

  test('stops at an abort, and hands on what goes wrong with the file', async () => {
    const bytes = await buildZip([{ name: 'a', data: noise(4_000_000), deflate: true }]);
    const zip = await openBytes(bytes);
    const stop = new AbortController();
    const read = async () => {
      for await (const _ of zipStream(zip, zip.entries.get('a')!, { signal: stop.signal })) stop.abort();
    };
    await refuses(read, 'VGG_ABORTED', /AbortSignal/);
    let broken = false;
    const inner = bytesSource(bytes, 'x.zip');
    const source: Source = { ...inner, read: (at, length) => (broken ? inner.read(at, bytes.length) : inner.read(at, length)) };
    const failing = await openZip(source);
    await zipStream(failing, failing.entries.get('a')!).next();
    broken = true;
    await refuses(readEntry(failing, 'a', 1e7), 'VGG_INTEGRITY', /expected at least \d+ bytes, received a file of/);
  });

  test('is refused where its bytes are no deflate, or of other data', async () => {
    const packed = await deflateRaw(plain);
    const wrong = packed.slice();
    wrong[0] = 0xff;
    await refuses(
      async () => readEntry(await openBuilt([{ name: 'a', data: plain, deflate: true, packed: wrong }]), 'a', 1e7),
      'VGG_INTEGRITY',
      /"a" does not unpack/,
    );
    const cut = packed.subarray(0, -3);
    await refuses(
      async () => readEntry(await openBuilt([{ name: 'a', data: plain, deflate: true, packed: cut }]), 'a', 1e7),
      'VGG_INTEGRITY',
      /whole zip archive/,
    );
    const crc = { crc: 7 };
    await refuses(
      async () => readEntry(await openBuilt([{ name: 'a', data: plain, deflate: true, local: crc, central: crc }]), 'a', 1e7),
      'VGG_INTEGRITY',
      /checksum of "a"/,
    );
    const less = { size: plain.length - 1 };
    await refuses(
      async () => readEntry(await openBuilt([{ name: 'a', data: plain, deflate: true, local: less, central: less }]), 'a', 1e7),
      'VGG_INTEGRITY',
      /more than its 2999999 bytes/,
    );
    const more = { size: plain.length + 1 };
    await refuses(
      async () => readEntry(await openBuilt([{ name: 'a', data: plain, deflate: true, local: more, central: more }]), 'a', 1e7),
      'VGG_INTEGRITY',
      /3000000 bytes of 3000001/,
    );
  });

  test('is no source, and a name that is not there no member', async () => {
    const zip = await openBuilt([{ name: 'a', data: hello, deflate: true }]);
    await refuses(zipSource(zip, zip.entries.get('a')!), 'VGG_FORMAT', /"a" stored, received it deflated/);
    await refuses(readEntry(zip, '__proto__', 10), 'VGG_FORMAT', /member "__proto__"/);
    await refuses(readEntry(zip, 'a', 10), 'VGG_INTEGRITY', /at most 10 bytes in "a", received 14/);
  });
});

test('a stored member of another checksum is refused when it is read whole', async () => {
  const crc = { crc: 7 };
  const zip = await openBuilt([{ name: 'a', data: hello, local: crc, central: crc }]);
  await refuses(readEntry(zip, 'a', 100), 'VGG_INTEGRITY', /checksum of "a"/);
});

describe('refused when opened', () => {
  const a = { name: 'a', data: hello };
  const say = (central: Member['central']): Member => ({ ...a, central: central! });
  test.each<[string, Member[], Lies, 'VGG_FORMAT' | 'VGG_INTEGRITY', RegExp]>([
    ['encryption', [say({ flags: 1 })], {}, 'VGG_FORMAT', /encrypt/],
    ['strong encryption', [say({ flags: 0x40 })], {}, 'VGG_FORMAT', /encrypt/],
    ['masked headers', [say({ flags: 0x2000 })], {}, 'VGG_FORMAT', /encrypt/],
    ['patched data', [say({ flags: 0x20 })], {}, 'VGG_FORMAT', /patched/],
    ['LZMA', [say({ method: 14 })], {}, 'VGG_FORMAT', /"a" packed by method 14/],
    ['a member on another disk', [say({ disk: 1 })], {}, 'VGG_FORMAT', /one part of several/],
    ['a part of several', [a], { disk: 2 }, 'VGG_FORMAT', /one part of several/],
    ['a stored member of two sizes', [say({ size: 15 })], {}, 'VGG_INTEGRITY', /unpack from 14 bytes to 15/],
    ['a bomb', [{ ...say({ size: 14 * 1032 + 1 }), deflate: true, packed: hello }], {}, 'VGG_INTEGRITY', /unpack from 14 bytes to 14449/],
    ['one name twice', [a, a], {}, 'VGG_INTEGRITY', /"a" is in it twice/],
    ['two members on the same bytes', [a, { ...a, name: 'b', central: { offset: 0 } }], {}, 'VGG_INTEGRITY', /are its own/],
    [
      'a member that reaches into the next',
      [
        { ...a, central: { packed: 15, size: 15 } },
        { ...a, name: 'b' },
      ],
      {},
      'VGG_INTEGRITY',
      /"a" is said to have 46 bytes at 0, where 45/,
    ],
    ['a member in the directory', [say({ packed: 40, size: 40 })], {}, 'VGG_INTEGRITY', /"a" is said to have 71 bytes/],
    ['a member outside the file', [say({ offset: 0xfffffff0 })], {}, 'VGG_INTEGRITY', /where 0 are its own/],
    ['a folder with bytes', [{ ...a, name: 'a/' }], {}, 'VGG_INTEGRITY', /folder "a\/" has bytes/],
    ['an absolute name', [{ ...a, name: '/etc/passwd' }], {}, 'VGG_INTEGRITY', /absolute names/],
    ['a drive', [{ ...a, name: 'C:x' }], {}, 'VGG_INTEGRITY', /absolute names/],
    ['a way up', [{ ...a, name: 'a/../../b' }], {}, 'VGG_INTEGRITY', /a\/\.\.\/\.\.\/b/],
    ['a backslash', [{ ...a, name: 'a\\b' }], {}, 'VGG_INTEGRITY', /absolute names/],
    ['a control character', [{ ...a, name: 'a\u001b[2J' }], {}, 'VGG_INTEGRITY', /absolute names/],
    ['no name', [{ ...a, name: '' }], {}, 'VGG_INTEGRITY', /absolute names/],
    ['a name that is no text', [say({ name: new Uint8Array([0xff, 0xfe]), flags: 0x800 })], {}, 'VGG_INTEGRITY', /no text/],
    ['a long name', [{ ...a, name: 'a'.repeat(5000) }], {}, 'VGG_INTEGRITY', /names inside the archive/],
    ['a program before it', [a], { before: text('#!/bin/sh\n') }, 'VGG_INTEGRITY', /first member is not at its beginning/],
    ['bytes behind it', [a], { behind: text('more') }, 'VGG_INTEGRITY', /directory, which is at its end, is missing/],
    ['two ends', [a], { comment: new Uint8Array([0x50, 0x4b, 5, 6, ...new Uint8Array(18)]) }, 'VGG_INTEGRITY', /two ends/],
    ['more members than the directory has', [a], { count: 2 }, 'VGG_INTEGRITY', /member 1 of its directory is missing/],
    ['fewer members than the directory has', [a, { ...a, name: 'b' }], { count: 1 }, 'VGG_INTEGRITY', /47 bytes more than its 1 members/],
    ['a directory elsewhere', [a], { start: 3 }, 'VGG_INTEGRITY', /bytes at 3, and it ends at/],
    ['a directory past the end', [a], { size: 0x7fffffff }, 'VGG_INTEGRITY', /bytes of directory/],
    ['zip64 that is not there', [a], { count: 0xffff }, 'VGG_INTEGRITY', /says 65535 where zip64 says nothing/],
    ['zip64 that says otherwise', [a], { zip64: { count: 2 } }, 'VGG_INTEGRITY', /says 1 where zip64 says 2/],
    ['zip64 elsewhere', [a], { zip64: { place: 3 } }, 'VGG_INTEGRITY', /zip64 record is not at/],
    ['zip64 of another length', [a], { zip64: { length: 45 } }, 'VGG_INTEGRITY', /zip64 record is not at/],
    ['zip64 on several disks', [a], { zip64: { disks: 2 } }, 'VGG_FORMAT', /one part of several/],
    ['zip64 with millions of members', [a], { count: 0xffff, zip64: { count: 2 ** 40 } }, 'VGG_INTEGRITY', /at most 65536 members/],
    ['zip64 past what numbers hold', [a], { start: 0xffffffff, zip64: { start: 2 ** 60 } }, 'VGG_INTEGRITY', /a size or place of/],
    ['a size in a zip64 field that is not there', [say({ size: 0xffffffff })], {}, 'VGG_INTEGRITY', /zip64 field is missing/],
    [
      'a zip64 field that is too short',
      [say({ size: 0xffffffff, packed: 0xffffffff, extra: zip64Extra(14) })],
      {},
      'VGG_INTEGRITY',
      /zip64 field is missing/,
    ],
    [
      'a zip64 field that is cut',
      [say({ size: 0xffffffff, extra: zip64Extra(14).subarray(0, 9) })],
      {},
      'VGG_INTEGRITY',
      /zip64 field is missing/,
    ],
    [
      'a zip64 size past what numbers hold',
      [say({ size: 0xffffffff, extra: zip64Extra(2n ** 63n) })],
      {},
      'VGG_INTEGRITY',
      /a size or place of/,
    ],
  ])('%s', async (_, members, lies, code, sentence) => {
    await refuses(openBuilt(members, lies), code, sentence);
  });

  test('a file cut anywhere', async () => {
    const bytes = await buildZip([a, { name: 'b', data: noise(50), deflate: true }], { zip64: {} });
    for (let length = 0; length < bytes.length; length++) {
      await refuses(openBytes(bytes.slice(0, length)), 'VGG_INTEGRITY', /x\.zip: expected a whole zip archive/);
    }
  });

  test('an archive within itself (a quine)', async () => {
    const own = await buildZip([a]);
    // A member whose bytes would be the archive that it is in.
    await refuses(
      openBuilt([{ name: 'self', central: { offset: 0, packed: own.length, size: own.length } }]),
      'VGG_INTEGRITY',
      /are its own/,
    );
  });
});

test('a local header that is of another member', async () => {
  const locals: Member['local'][] = [
    { name: 'b' },
    { name: 'aa' },
    { method: 8 },
    { flags: 1 },
    { size: 13 },
    { packed: 13 },
    { crc: 1 },
    { extra: new Uint8Array(9) },
    { size: 0xffffffff, extra: zip64Extra(15) },
  ];
  for (const local of locals) {
    const data = text('hello, archive');
    const zip = await openBuilt([{ name: 'a', data, local: local! }]);
    // The room for the longer header is taken from the data, as an attacker would.
    const entry = { ...zip.entries.get('a')!, limit: 30 + 1 + data.length + (local!.size === 0xffffffff ? 12 : 0) };
    await refuses(zipSource({ ...zip, entries: new Map([['a', entry]]) }, entry), 'VGG_INTEGRITY', /"a"/);
  }
});

test('changed bytes give the members or a refusal', async () => {
  const original = await buildZip(
    [
      { name: 'a', data: hello },
      { name: 'b', data: noise(200), deflate: true },
      { name: 'c', data: hello, local: { flags: 8, crc: 0, size: 0, packed: 0 }, central: { flags: 8 } },
    ],
    { zip64: {} },
  );
  const next = random(11);
  let opened = 0;
  for (let i = 0; i < 1000; i++) {
    const bytes = original.slice();
    for (let changes = 1 + Math.floor(next() * 3); changes > 0; changes--)
      bytes[Math.floor(next() * bytes.length)]! ^= 1 << Math.floor(next() * 8);
    const read = async () => {
      const zip = await openBytes(bytes);
      for (const name of zip.entries.keys()) expect((await readEntry(zip, name, 1000)).length).toBeLessThanOrEqual(1000);
      opened++;
    };
    await read().catch((error: unknown) => {
      if ((error as Error).name !== 'VggError') throw error;
    });
  }
  expect(opened).toBeGreaterThan(10);
  expect(opened).toBeLessThan(900);
});

test('the archives of NumPy and Keras', async () => {
  for (const name of [
    'numpy/vgg16-frossard.npz',
    'numpy/numpy-mixed-compressed.npz',
    'numpy/numpy-descriptors.npz',
    'keras/named.keras',
    'keras/deflated.keras',
  ]) {
    const zip = await openBytes(await fixture(name));
    for (const entry of zip.entries.values()) expect((await readEntry(zip, entry.name, 1e6)).length).toBe(entry.size);
  }
});
