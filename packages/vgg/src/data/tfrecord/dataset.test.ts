import { describe, expect, test } from 'vitest';
import { decodeImage, fixture } from '../../../test/pictures/fixtures.js';
import { writeFile } from '../../../test/tfrecord/format.js';
import { openDataset } from '../dataset.js';
import { batchesOf } from '../loader.js';
import { recordChunks } from './chunks.js';
import { type ExampleInput, encodeExample } from './example.js';
import { masked } from './frame.js';
import { type DatasetExamplesOptions, datasetExamples } from './from-dataset.js';

const picture = fixture('exif-6.png');
const pixels = (side: number, value: number) => new Uint8Array(side * side * 3).fill(value);
const file = (examples: readonly ExampleInput[], name = 'a.tfrecord') => new File([writeFile(examples.map(encodeExample))], name);
const raw = (label: number, data: Uint8Array, more: ExampleInput = {}): ExampleInput => ({
  label: { int64List: [label] },
  data: { bytesList: [data] },
  ...more,
});

describe('a TFRecord file as a dataset', () => {
  test("as tutorials write it: label and a square's pixels", async () => {
    const { classes, examples } = await openDataset(file([raw(10, pixels(4, 1)), raw(2, pixels(2, 2)), raw(10, pixels(32, 3))]));
    expect(classes).toEqual(['2', '10']);
    expect(examples.map(({ name, label }) => [name, label])).toEqual([
      ['a.tfrecord#0', 1],
      ['a.tfrecord#1', 0],
      ['a.tfrecord#2', 1],
    ]);
    expect(await decodeImage(examples[0]!.image)).toEqual({ width: 4, height: 4, data: pixels(4, 1) });
  });

  test('with the sizes of the picture, and grey', async () => {
    const sizes = { height: { int64List: [2] }, width: { int64List: [3] } };
    const { examples } = await openDataset(file([raw(0, Uint8Array.of(1, 2, 3, 4, 5, 6), sizes)]));
    expect((await decodeImage(examples[0]!.image)).data).toEqual(Uint8Array.of(1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6));
  });

  test('in the names of TensorFlow: the text of a number is its class', async () => {
    const example = (label: number, text: string) => ({
      'image/encoded': { bytesList: [picture] },
      'image/class/label': { int64List: [label] },
      'image/class/text': { bytesList: [text] },
    });
    const { classes, examples } = await openDataset([
      file([example(2, 'ant'), example(1, 'wasp')], 'a.tfrecord-00000-of-00002'),
      file([example(1, 'wasp'), example(7, 'bee')]),
    ]);
    expect(classes).toEqual(['ant', 'bee', 'wasp']);
    expect(examples.map(({ label }) => label)).toEqual([0, 2, 2, 1]);
    expect(await decodeImage(examples[3]!.image)).toEqual(await decodeImage(picture));
  });

  test.each([['gzip'], ['zlib']] as const)('packed as %s', async (compression) => {
    const parts: BlobPart[] = [];
    for await (const part of recordChunks([raw(0, pixels(2, 5)), raw(1, pixels(2, 6))], compression))
      parts.push(part.slice() as Uint8Array<ArrayBuffer>);
    const { classes, examples } = await openDataset(new File(parts, 'a.gz'));
    expect(classes).toEqual(['0', '1']);
    expect((await decodeImage(examples[1]!.image)).data).toEqual(pixels(2, 6));
  });

  test.each([
    [{ label: { int64List: [1] } }, 'VGG_FORMAT', 'expected an Example with a picture'],
    [{ data: { bytesList: [pixels(2, 1)] } }, 'VGG_FORMAT', 'expected an Example with a class'],
  ])('without a picture or class it is refused', async (example, code, message) => {
    await expect(openDataset(file([raw(0, pixels(1, 0)), example as ExampleInput]))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(`a.tfrecord#1: ${message}`),
    });
  });

  test('a corrupt record is refused, by its number; text that only ends in .gz is no records', async () => {
    const bytes = writeFile([raw(0, pixels(2, 1)), raw(1, pixels(2, 2))].map(encodeExample));
    bytes[bytes.length - 9]! ^= 1;
    await expect(openDataset(new File([bytes], 'a.tfrecord'))).rejects.toMatchObject({
      code: 'VGG_INTEGRITY',
      message: expect.stringContaining('record 1'),
    });
    await expect(openDataset(new File(['words of some length'], 'a.gz'))).rejects.toMatchObject({ code: 'VGG_DATASET' });
  });
});

describe('files that lie', () => {
  test('no record at all is no dataset; beside others an empty shard is none', async () => {
    await expect(openDataset(new File([], 'a.tfrecord'))).rejects.toMatchObject({
      code: 'VGG_DATASET',
      message: 'dataset: expected pictures, received a file without any',
    });
    const { examples } = await openDataset([new File([], 'a.tfrecord'), file([raw(1, pixels(2, 1))])]);
    expect(examples).toHaveLength(1);
  });

  test('a packed record longer than any picture is refused by its length, before it is unpacked', async () => {
    const head = new DataView(new ArrayBuffer(12));
    head.setUint32(0, 2 ** 29, true);
    head.setUint32(8, masked(new Uint8Array(head.buffer, 0, 8)), true);
    const packed = new Blob([head.buffer, new Uint8Array(2 ** 16)]).stream().pipeThrough(new CompressionStream('gzip'));
    await expect(openDataset(new File([await new Response(packed).blob()], 'a.tfrecord'))).rejects.toMatchObject({
      code: 'VGG_INTEGRITY',
      message: expect.stringContaining('its length is said to be 536870912 bytes, where 268435456 are possible'),
    });
  });
});

describe('a dataset as Examples', () => {
  const images = { b: [picture], a: [{ data: pixels(3, 9), width: 3, height: 3 }] };
  const made = async (options: DatasetExamplesOptions) => {
    const found = [];
    for await (const example of datasetExamples(await openDataset(images), options)) found.push(example as Record<string, unknown>);
    return found;
  };

  test('raw: resized pixels, in the wanted order', async () => {
    const [second, first] = await made({ form: 'raw', size: 2, order: [1, 0] });
    expect(first).toEqual({ label: { int64List: [0] }, data: { bytesList: [pixels(2, 9)] } });
    expect(second).toMatchObject({ label: { int64List: [1] }, data: { bytesList: [{ length: 12 }] } });
  });

  test('encoded: the very bytes; pixels have none', async () => {
    const [only] = await made({ order: [1] });
    expect(only).toMatchObject({
      'image/encoded': { bytesList: [picture] },
      'image/format': { bytesList: ['PNG'] },
      'image/height': { int64List: [11] },
      'image/width': { int64List: [19] },
      'image/class/label': { int64List: [1] },
      'image/class/text': { bytesList: ['b'] },
    });
    await expect(made({})).rejects.toMatchObject({ code: 'VGG_INPUT', message: expect.stringContaining("form: 'raw'") });
    const failed: string[] = [];
    expect(await made({ onFailed: (name) => failed.push(name) })).toHaveLength(1);
    expect(failed).toEqual(['a[0]']);
  });

  test('there and back are the same pixels', async () => {
    const { examples, classes } = await openDataset(images);
    const records: Uint8Array[] = [];
    for await (const example of datasetExamples({ examples: examples.slice(1), classes, skipped: [] }))
      records.push(encodeExample(example));
    const back = await openDataset(new File([writeFile(records)], 'b.tfrecord'));
    expect(back.classes).toEqual(['b']);
    for await (const { items } of batchesOf(back, { batch: 1 })) expect(items).toEqual([await decodeImage(picture)]);
  });
});
