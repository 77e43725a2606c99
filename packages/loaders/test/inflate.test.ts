import { describe, expect, test } from 'vitest';
import { concat } from '../src/bytes.js';
import { inflate, inflateMemory } from '../src/formats/inflate/index.js';
import { random } from './random.js';

type Form = 'deflate' | 'deflate-raw' | 'gzip';

/** What the engine packs, and unpacks. */
async function through(data: Uint8Array, stream: CompressionStream | DecompressionStream): Promise<Uint8Array<ArrayBuffer>> {
  const blob = new Blob([data as Uint8Array<ArrayBuffer>]);
  return new Uint8Array(await new Response(blob.stream().pipeThrough(stream as unknown as TransformStream)).arrayBuffer());
}
const deflated = (data: Uint8Array, format: Form = 'deflate-raw') => through(data, new CompressionStream(format));

function* cut(bytes: Uint8Array, step: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

async function unpacked(packed: Uint8Array, format: Form = 'deflate-raw', step = packed.length): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  const broken = (what: string) => new Error(`it ${what}`);
  for await (const piece of inflate(cut(packed, Math.max(1, step)), { format, broken })) pieces.push(piece.slice());
  return concat(pieces);
}

/** Vitest's own comparison takes seconds for as many bytes. */
function expectSame(found: Uint8Array, expected: Uint8Array): void {
  expect(found.length).toBe(expected.length);
  expect(found.findIndex((byte, i) => byte !== expected[i])).toBe(-1);
}

/** Bits as the format has them: numbers with their lowest bit first, codes with their highest. */
function bits(...fields: readonly (readonly [value: number, length: number] | string)[]): Uint8Array {
  const all = fields.flatMap((field) =>
    typeof field === 'string' ? [...field].map(Number) : Array.from({ length: field[1] }, (_, i) => (field[0] >> i) & 1),
  );
  return Uint8Array.from({ length: Math.ceil(all.length / 8) }, (_, i) =>
    all.slice(i * 8, i * 8 + 8).reduce((byte, bit, k) => byte | (bit << k), 0),
  );
}

const next = random(5);
const TEXT = new TextEncoder().encode('conv1_1 conv1_2 pool1 '.repeat(8000));
/** Each symbol about as often as the two after it together: the rare ones get the longest codes there are. */
const SKEWED = Uint8Array.from({ length: 300_000 }, () => Math.min(30, Math.floor(-Math.log(1 - next()) / Math.log(1.618))));
const DATA: Readonly<Record<string, Uint8Array>> = {
  nothing: new Uint8Array(0),
  'one byte': Uint8Array.of(7),
  text: TEXT,
  zeros: new Uint8Array(400_000),
  floats: new Uint8Array(Float32Array.from({ length: 50_000 }, () => next() - 0.5).buffer),
  'codes of all lengths': SKEWED,
};

describe.each(Object.entries(DATA))('%s', (_, data) => {
  test.each<[Form]>([['deflate'], ['deflate-raw'], ['gzip']])('packed by the engine as %s, in pieces of any size', async (format) => {
    const packed = await deflated(data, format);
    for (const step of [packed.length, 1000, 3]) expectSame(await unpacked(packed, format, step), data);
  });

  test.each<[Form]>([['deflate'], ['gzip']])('%s, cut anywhere', async (format) => {
    const packed = await deflated(data, format);
    for (let i = 0; i < 12; i++) {
      const end = Math.floor(next() * packed.length);
      await expect(unpacked(packed.subarray(0, end), format, 500)).rejects.toThrow('it ends early');
    }
  });
});

test('pieces that end anywhere near the end', async () => {
  // Long enough for the head of the block to be far from the end.
  for (let length = 3000; length < 3012; length++) {
    const data = SKEWED.subarray(0, length);
    for (const format of ['gzip', 'deflate', 'deflate-raw'] as const) {
      const packed = await deflated(data, format);
      for (let end = packed.length - 24; end <= packed.length; end++) {
        const found: Uint8Array[] = [];
        const pieces = [packed.subarray(0, end), packed.subarray(end)];
        const broken = (what: string) => new Error(`${format} of ${length} cut at ${end} ${what}`);
        for await (const piece of inflate(pieces, { format, broken })) found.push(piece.slice());
        expectSame(concat(found), data);
      }
    }
  }
});

describe('gzip', () => {
  test('members one after another, with all that a head may say', async () => {
    const [a, b] = [await deflated(TEXT.subarray(0, 100), 'gzip'), await deflated(TEXT.subarray(100, 300), 'gzip')];
    const words = new TextEncoder().encode('name\0words\0');
    // Flags: text, checksum of the head, extra field, name, comment.
    const head = [...b.subarray(0, 3), 31, ...b.subarray(4, 10), 2, 0, 1, 2, ...words, 9, 9];
    const packed = Uint8Array.from([...a, ...head, ...b.subarray(10)]);
    for (const step of [packed.length, 1]) expectSame(await unpacked(packed, 'gzip', step), TEXT.subarray(0, 300));
  });

  test.each([
    ['its magic', 0],
    ['its method', 2],
    ['its checksum', -8],
    ['its length', -4],
  ])('%s is wrong', async (_, at) => {
    const packed = await deflated(TEXT.subarray(0, 100), 'gzip');
    packed[at < 0 ? packed.length + at : at]! ^= 1;
    await expect(unpacked(packed, 'gzip')).rejects.toThrow('does not unpack');
  });

  test('a copy never reaches back into the member before', async () => {
    // In the fixed code: 3 bytes from 1 back, which is nothing in this member.
    const packed = [
      ...(await deflated(TEXT.subarray(0, 9), 'gzip')),
      31,
      139,
      8,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      ...bits([3, 3], '0000001', '00000', '0000000'),
    ];
    await expect(unpacked(Uint8Array.from([...packed, ...new Uint8Array(8)]), 'gzip')).rejects.toThrow('does not unpack');
  });
});

test('blocks of all three kinds, one after another', async () => {
  const stored = (text: string) => [...bits([0, 3]), text.length, 0, 255 - text.length, 255, ...new TextEncoder().encode(text)];
  const last = [0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]; // "hello" in the fixed code
  const packed = Uint8Array.from([...stored('abc'), ...stored(''), ...stored('de'), ...last]);
  for (const step of [100, 1]) expect(new TextDecoder().decode(await unpacked(packed, 'deflate-raw', step))).toBe('abcdehello');
});

test('a copy that reaches into itself, and one as far back as there is anything', async () => {
  // Literal "a", 258 bytes from 1 back, the end.
  expect(await unpacked(bits([3, 3], '10010001', '11000101', '00000', '0000000'))).toEqual(new Uint8Array(259).fill(97));
  await expect(unpacked(bits([3, 3], '10010001', '11000101', '00001', '0000000'))).rejects.toThrow('does not unpack');
});

/** The lengths of the code for lengths, in their own order, for the head of a block; 14 of its bits say how many of each there are. */
const head = (literals: number, distances: number, ...lengths: number[]) =>
  [[5, 3], [literals - 257, 5], [distances - 1, 5], [lengths.length - 4, 4], ...lengths.map((length) => [length, 3] as const)] as const;

describe('no deflate', () => {
  test.each<[string, Uint8Array]>([
    ['a fourth kind of block', bits([7, 3])],
    ['a stored length that its complement denies', Uint8Array.of(1, 3, 0, 0xfd, 0xff, 1, 2, 3)],
    ['a literal beyond 285', bits([3, 3], '11000110', [0, 16])],
    ['a distance beyond 29', bits([3, 3], '10010001', '0000001', '11110', [0, 16])],
    ['more literals than there are', bits(...head(288, 1, 1, 1, 0, 0), [0, 32])],
    ['more distances than there are', bits(...head(257, 31, 1, 1, 0, 0), [0, 32])],
    ['a code of more symbols than its lengths allow', bits(...head(257, 1, 1, 1, 1, 0), [0, 32])],
    ['a code with gaps', bits(...head(257, 1, 2, 2, 0, 0), [0, 32])],
    ['a length that repeats none', bits(...head(257, 1, 1, 1, 0, 0), '0', [0, 32])],
    // 18 takes one bit, and stands for 138 zeros each time.
    ['repeats past the last length', bits(...head(257, 1, 0, 0, 1, 1), '1', [127, 7], '1', [127, 7], [0, 32])],
    ['a block without an end', bits(...head(257, 1, 0, 0, 1, 1), '1', [127, 7], '1', [109, 7], [0, 32])],
  ])('%s', async (_, packed) => {
    await expect(unpacked(packed)).rejects.toThrow('it does not unpack');
  });

  test.each<[string, (bytes: Uint8Array) => void]>([
    ['another method', (bytes) => bytes.set([0x77, 0x85])],
    ['a window too large', (bytes) => bytes.set([0x88, 0x1c])],
    ['a preset dictionary', (bytes) => bytes.set([0x78, 0xbb])],
    ['a head that 31 does not divide', (bytes) => bytes.set([0x78, 0x9d])],
    ['another checksum', (bytes) => bytes.fill(bytes.at(-1)! ^ 1, -1)],
  ])('a zlib stream of %s', async (_, change) => {
    const packed = await deflated(TEXT, 'deflate');
    change(packed);
    await expect(unpacked(packed, 'deflate')).rejects.toThrow('it does not unpack');
  });

  test('bytes behind the end', async () => {
    const packed = concat([await deflated(TEXT), Uint8Array.of(0)]);
    for (const step of [packed.length, 1]) await expect(unpacked(packed, 'deflate-raw', step)).rejects.toThrow('ends before its bytes do');
  });

  test('changed bytes: what the engine unpacks, so do we, and nothing else', async () => {
    const packed = await deflated(concat([TEXT.subarray(0, 300), DATA.floats!.subarray(0, 700)]), 'deflate');
    let same = 0;
    for (let i = 0; i < 300; i++) {
      const changed = packed.slice();
      changed[Math.floor(next() * changed.length)]! ^= 1 << Math.floor(next() * 8);
      const expected = await through(changed, new DecompressionStream('deflate')).catch(() => undefined);
      const found = await unpacked(changed, 'deflate').catch(() => undefined);
      expect(found).toEqual(expected);
      if (!expected) same++;
    }
    expect(same).toBeGreaterThan(200);
  });
});

test('no more is asked for than is needed, and who leaves closes the source', async () => {
  const packed = await deflated(new Uint8Array(50_000_000));
  let given = 0;
  let isClosed = false;
  const source = async function* () {
    try {
      for (const piece of cut(packed, 500)) {
        given += piece.length;
        yield piece;
      }
    } finally {
      isClosed = true;
    }
  };
  let largest = 0;
  let length = 0;
  for await (const piece of inflate(source(), { format: 'deflate-raw', broken: Error })) {
    largest = Math.max(largest, piece.length);
    length += piece.length;
    if (length > 1_000_000) break;
  }
  expect(largest).toBeLessThanOrEqual(2 ** 16);
  expect(given).toBeLessThan(3000);
  expect(isClosed).toBe(true);
});

test('memory used again knows nothing of the stream before', async () => {
  const memory = inflateMemory();
  const take = async (packed: Uint8Array) => {
    const pieces: Uint8Array[] = [];
    for await (const piece of inflate([packed], { format: 'deflate-raw', broken: Error, memory })) pieces.push(piece.slice());
    return concat(pieces);
  };
  for (const data of Object.values(DATA)) expectSame(await take(await deflated(data)), data);
  // 258 bytes from 1 back, where there are none.
  await expect(take(bits([3, 3], '11000101', '00000', '0000000'))).rejects.toThrow('does not unpack');
});

test('other work is done in between', async () => {
  const packed = await deflated(new Uint8Array(20_000_000));
  let isOver = false;
  const whole = unpacked(packed).then(() => {
    isOver = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(isOver).toBe(false);
  await whole;
});
