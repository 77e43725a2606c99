import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { safetensorsWriter } from '../../src/formats/safetensors/write.js';
import { findWriter, WRITERS } from '../../src/formats/writers.js';
import { bytesSource, cachedSource, openWeights, type StoredType } from '../../src/index.js';
import { dequantizeInt8, quantizeInt8 } from '../../src/quantize.js';
import { counted, refuses } from '../helpers.js';
import { random } from '../random.js';
import { toWrite, written } from '../writing.js';

function sha256() {
  const running = createHash('sha256');
  return { update: (bytes: Uint8Array) => void running.update(bytes), digest: () => running.digest('hex') };
}

const next = random(5);
const noise = (count: number) => Float32Array.from({ length: count }, () => (next() - 0.5) * 4);
const TENSORS = [
  toWrite('conv1_1.weight', [3, 3, 3, 5], noise(135)),
  toWrite('conv1_1.bias', [5], noise(5)),
  toWrite('fc6.weight', [501, 7], noise(3507)),
  toWrite('fc6.bias', [7], noise(7)),
];

async function write(dtype: StoredType, metadata = new Map([['vgg.licence', 'CC BY 4.0']])): Promise<Uint8Array<ArrayBuffer>> {
  const files = await written(safetensorsWriter.write({ name: 'a.safetensors', tensors: TENSORS, metadata, dtype, sha256 }));
  return files.get('a.safetensors')!;
}

const headerOf = (bytes: Uint8Array) =>
  JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true)))));

describe('the safetensors writer', () => {
  test('float32: bit for bit, and the sha256 of each tensor', async () => {
    const bytes = await write('float32');
    const file = await openWeights(bytesSource(bytes), { sha256 });
    expect([...file.tensors.keys()]).toEqual(TENSORS.map(({ name }) => name));
    for (const { name, values } of TENSORS) expect(await file.read(name)).toEqual(await values());
    const { __metadata__: metadata, ...entries } = headerOf(bytes);
    expect(metadata['vgg.licence']).toBe('CC BY 4.0');
    const data = bytes.length - TENSORS.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
    for (const [name, hash] of Object.entries(JSON.parse(metadata['vgg.sha256']))) {
      const [start, end] = entries[name].data_offsets;
      const running = sha256();
      running.update(bytes.subarray(data + start, data + end));
      expect(hash).toBe(running.digest());
    }
  });

  test('int8: whole numbers and a scale for each output channel, which the reader applies and does not show', async () => {
    const bytes = await write('int8');
    const header = headerOf(bytes);
    expect(header['conv1_1.weight']).toMatchObject({ dtype: 'I8', shape: [3, 3, 3, 5] });
    expect(header['conv1_1.weight_scale']).toMatchObject({ dtype: 'F32', shape: [5] });
    expect(header['conv1_1.bias'].dtype).toBe('F32');
    expect(header.__metadata__['vgg.int8']).toContain('multiplied by NAME_scale');
    // Other programs map tensors in place: each starts where its elements may.
    for (const { dtype, data_offsets } of Object.values(header) as { dtype: string; data_offsets: number[] }[])
      if (dtype === 'F32') expect(data_offsets[0]! % 4).toBe(0);
    const file = await openWeights(bytesSource(bytes), { sha256 });
    expect([...file.tensors.keys()].sort()).toEqual(TENSORS.map(({ name }) => name).sort());
    expect(file.tensors.get('fc6.weight')!.dtype).toBe('int8');
    for (const { name, shape, values } of TENSORS) {
      const given = await values();
      const quantised = quantizeInt8(given, shape.at(-1)!);
      expect(await file.read(name)).toEqual(shape.length > 1 ? dequantizeInt8(quantised.values, quantised.scales) : given);
      const pieces: number[] = [];
      for await (const piece of file.stream(name)) pieces.push(...piece);
      expect(pieces).toEqual([...(await file.read(name))]);
    }
  });

  test('int8 of a stranger, without its scale or with another shape of it, is shown as it is', async () => {
    const text = JSON.stringify({
      w: { dtype: 'I8', shape: [2, 2], data_offsets: [8, 12] },
      w_scale: { dtype: 'F32', shape: [2, 1], data_offsets: [0, 8] },
    });
    const bytes = new Uint8Array(8 + text.length + 12);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
    bytes.set(new TextEncoder().encode(text), 8);
    bytes.set([1, 255, 127, 128], bytes.length - 4);
    const file = await openWeights(bytesSource(bytes));
    expect([...file.tensors.keys()]).toEqual(['w', 'w_scale']);
    expect([...(await file.read('w'))]).toEqual([1, -1, 127, -128]);
  });

  test('float16 is half the size', async () => {
    const file = await openWeights(bytesSource(await write('float16')), { sha256 });
    expect(file.tensors.get('fc6.weight')!.dtype).toBe('float16');
    const [given, read] = [await TENSORS[2]!.values(), await file.read('fc6.weight')];
    for (let i = 0; i < given.length; i++) expect(Math.abs(read[i]! - given[i]!)).toBeLessThanOrEqual(Math.abs(given[i]!) * 2 ** -11);
  });

  test('int4: its bytes and palettes are checked too', async () => {
    const bytes = await write('int4');
    const { __metadata__: metadata, ...entries } = headerOf(bytes);
    expect(Object.keys(JSON.parse(metadata['vgg.sha256'])).sort()).toEqual(Object.keys(entries).sort());
    const data = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    for (const name of ['fc6.weight', 'fc6.weight_palette']) {
      const changed = bytes.slice();
      changed[data + entries[name].data_offsets[0]]! ^= 1;
      const file = await openWeights(bytesSource(changed), { sha256 });
      await refuses(file.read('fc6.weight'), 'VGG_INTEGRITY', new RegExp(`"${name}" with sha256`));
    }
  });

  test('int4 can be aborted between two channels of many', async () => {
    const abort = new AbortController();
    const tensor = toWrite('fc6.weight', [50, 1000], noise(50000));
    const values = async () => {
      setTimeout(() => abort.abort(), 0);
      return tensor.values();
    };
    const request = { name: 'a.safetensors', tensors: [{ ...tensor, values }], dtype: 'int4' as const, signal: abort.signal };
    await refuses(written(safetensorsWriter.write(request)), 'VGG_ABORTED', /safetensors/);
  });

  test('values that are not as many as the shape says, a name twice, an abort', async () => {
    const request = { name: 'a.safetensors', tensors: [toWrite('a', [2, 3], noise(5))] };
    for (const dtype of ['float32', 'float16', 'int8', 'int4'] as const)
      await refuses(written(safetensorsWriter.write({ ...request, dtype })), 'VGG_SHAPE', /expected 6 values for "a" \[2,3\], received 5/);
    await refuses(() => safetensorsWriter.write({ ...request, tensors: [...TENSORS, ...TENSORS] }), 'VGG_OPTION', /twice/);
    await refuses(written(safetensorsWriter.write({ ...request, signal: AbortSignal.abort() })), 'VGG_ABORTED', /safetensors/);
  });
});

describe('a file that tells its hashes', () => {
  /** A source that, once it is armed, gives a wrong byte of the data the first so many times that it is asked for. */
  function corrupt(bytes: Uint8Array<ArrayBuffer>, at: number) {
    const source = bytesSource(bytes, 'a.safetensors');
    let times = 0;
    const made = counted({
      ...source,
      async read(offset, length, options) {
        const read = await source.read(offset, length, options);
        if (offset <= at && at < offset + length && times-- > 0) read[at - offset]! ^= 16;
        return read;
      },
    });
    const arm = (count: number) => {
      times = count;
      made.offsets.length = 0;
    };
    return { source: made, arm };
  }

  test.each(['float32', 'float16', 'int8', 'int4'] as const)(
    '%s: only the tensor with the wrong byte is asked for once more',
    async (dtype) => {
      const bytes = await write(dtype);
      const { data_offsets } = headerOf(bytes)['fc6.weight'];
      const data = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
      const { source, arm } = corrupt(bytes, data + data_offsets[0] + 99);
      const file = await openWeights(source, { sha256 });
      const right = await openWeights(bytesSource(bytes));
      arm(1);
      for (const { name } of TENSORS) expect(await file.read(name)).toEqual(await right.read(name));
      const again = source.offsets.filter((offset) => offset === data + data_offsets[0]);
      expect(again).toHaveLength(2);
      expect(new Set(source.offsets).size).toBeGreaterThanOrEqual(source.offsets.length - 2); // the scales or palettes, too
    },
  );

  test('a wrong byte that a cache has kept is asked for past it', async () => {
    const bytes = await write('float32');
    const { source, arm } = corrupt(bytes, bytes.length - 1);
    const file = await openWeights(cachedSource(source, { block: 64 }), { sha256 });
    arm(1);
    expect(await file.read('fc6.bias')).toEqual(await TENSORS[3]!.values());
    const reads = source.reads;
    expect(await file.read('fc6.bias')).toEqual(await TENSORS[3]!.values());
    expect(source.reads).toBeGreaterThan(reads); // the blocks with the wrong byte are gone
  });

  test('twice wrong is refused, whole or as a stream', async () => {
    const bytes = await write('float32');
    for (const take of ['read', 'stream'] as const) {
      const { source, arm } = corrupt(bytes, bytes.length - 1);
      const file = await openWeights(source, { sha256 });
      arm(2);
      const work =
        take === 'read' ? file.read('fc6.bias') : (async () => void (await file.stream('fc6.bias')[Symbol.asyncIterator]().next()))();
      await refuses(work, 'VGG_INTEGRITY', /"fc6\.bias" with sha256 [0-9a-f]{64}, received .* fetch the file again/);
    }
  });

  test.each([
    ['no JSON', 'nonsense', 'VGG_FORMAT'],
    ['no hash', '{"fc6.bias":"12"}', 'VGG_INTEGRITY'],
    ['nested without end', '['.repeat(100), 'VGG_INTEGRITY'],
  ] as const)('%s in the place of the hashes is refused', async (_, text, code) => {
    const request = { name: 'a.safetensors', tensors: [TENSORS[1]!], metadata: new Map([['vgg.sha256', text]]) };
    const bytes = (await written(safetensorsWriter.write(request))).get('a.safetensors')!;
    await refuses(openWeights(bytesSource(bytes)), code, /vgg\.sha256|sha256 of/);
  });
});

test('writers by id or ending', () => {
  expect(findWriter('SAFETENSORS')).toBe(safetensorsWriter);
  expect(findWriter('.safetensors')).toBe(safetensorsWriter);
  expect(findWriter('docx')).toBeUndefined();
  const names = WRITERS.flatMap(({ id, endings }) => [...new Set([id, ...endings])]);
  expect(new Set(names).size).toBe(names.length);
});
