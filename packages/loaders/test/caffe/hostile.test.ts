import { describe, expect, test } from 'vitest';
import { concat } from '../../src/bytes.js';
import { caffe } from '../../src/formats/caffe/index.js';
import { meanFile } from '../../src/formats/caffe/mean.js';
import { prototxt } from '../../src/formats/caffe/prototxt.js';
import { bytesField, bytesHead, floatField, numberField, varint } from '../../src/formats/protobuf/encode.js';
import { bytesSource, filesSource, openWeights, type WeightFile } from '../../src/index.js';
import { mutate } from '../fuzz/fuzz.js';
import { fixture, refuses } from '../helpers.js';
import { random } from '../random.js';

const FORMATS = { formats: [caffe, meanFile, prototxt] };
const openBytes = (bytes: Uint8Array, name = 'x.caffemodel'): Promise<WeightFile> => openWeights(bytesSource(bytes, name), FORMATS);

const floats = (count: number) => bytesField(5, new Uint8Array(4 * count));
const dims = (...sizes: number[]) => bytesField(7, bytesField(1, concat(sizes.map(varint))));
const blob = (...fields: Uint8Array[]) => bytesField(7, concat(fields));
const layer = (type: string, ...fields: Uint8Array[]) =>
  bytesField(100, concat([bytesField(1, 'x'), bytesField(2, type), bytesField(3, 'a'), bytesField(4, 'b'), ...fields]));
const OUTPUTS = bytesField(117, numberField(1, 1));
const dense = (...blobs: Uint8Array[]) => layer('InnerProduct', ...blobs, OUTPUTS);

test('the pieces that the others are made of are sound', async () => {
  const file = await openBytes(dense(blob(floats(6), dims(2, 3)), blob(floats(2), dims(2))));
  expect([...file.tensors.values()].map(({ name, shape }) => [name, shape])).toEqual([
    ['x.weight', [2, 3]],
    ['x.bias', [2]],
  ]);
});

describe('blobs', () => {
  test.each<[string, Uint8Array, RegExp]>([
    [
      'fewer values than the shape',
      blob(floats(5), dims(2, 3)),
      /layer "x", blob 1: expected 24 bytes of values for a blob of shape \[2,3\], received 20/,
    ],
    ['more values than the shape', blob(floats(7), dims(2, 3)), /expected 24 bytes .* received 28/],
    ['a part of a value', blob(bytesField(5, new Uint8Array(5))), /expected 4 bytes .* received 5/],
    ['a negative size', blob(floats(1), dims(-1)), /expected a shape of whole numbers, received \[-1\]/],
    ['a size of 2^40', blob(floats(1), dims(2 ** 40)), /at most 268435456 values on 8 axes, received shape \[1099511627776\]/],
    [
      'a negative size of the older form',
      blob(numberField(1, -4), numberField(2, 1), floats(4)),
      /expected a shape of whole numbers, received \[-4,1,0,0\]/,
    ],
    ['sizes whose product is past all limits', blob(floats(1), dims(2 ** 31 - 1, 2 ** 31 - 1, 4)), /at most 268435456 values/],
    ['too many axes', blob(floats(1), dims(...Array(9).fill(1))), /on 8 axes/],
    ['a shape of megabytes', blob(floats(1), bytesField(7, new Uint8Array(2 ** 20))), /a shape of 1048576 bytes/],
    ['a shape that is cut', blob(floats(1), bytesField(7, Uint8Array.of(0x0a, 9, 1))), /passes? the end|past the end/],
  ])('%s', (_, bytes, sentence) => refuses(openBytes(dense(bytes)), 'VGG_INTEGRITY', sentence));

  test('values that are stored one by one, or in several pieces', async () => {
    await refuses(openBytes(dense(blob(floatField(5, 1), floatField(5, 2), dims(2)))), 'VGG_FORMAT', /in one piece.*each value apart/);
    await refuses(openBytes(dense(blob(floats(1), floats(1), dims(2)))), 'VGG_FORMAT', /several pieces/);
  });

  test('a shape without values: the tensor is known and not there', async () => {
    const file = await openBytes(dense(blob(dims(1000, 1000))));
    expect(file.tensors.get('x.weight')).toMatchObject({ shape: [1000, 1000], present: false });
    await refuses(file.read('x.weight'), 'VGG_WEIGHTS_MISSING', /the file has its shape only/);
  });

  test('a BatchNorm of many channels and no values implies none', async () => {
    const many = blob(dims(2 ** 28));
    const file = await openBytes(layer('BatchNorm', many, many));
    expect([...file.tensors.values()].map(({ name, shape, present }) => [name, shape, present])).toEqual(
      ['mean', 'variance', 'scale', 'offset'].map((part) => [`x.${part}`, [2 ** 28], false]),
    );
    await refuses(openBytes(layer('BatchNorm', blob(dims(2 ** 29)))), 'VGG_INTEGRITY', /at most 268435456 values/);
  });

  test('a BatchNorm of one blob or four, a factor of many values, a Scale of three', async () => {
    const ones = Array(4).fill(blob(floats(2), dims(2)));
    await refuses(openBytes(layer('BatchNorm', ones[0])), 'VGG_INTEGRITY', /1 blobs of a BatchNorm/);
    await refuses(openBytes(layer('BatchNorm', ...ones)), 'VGG_INTEGRITY', /4 blobs of a BatchNorm/);
    await refuses(openBytes(layer('BatchNorm', ...ones.slice(1))), 'VGG_INTEGRITY', /a factor of shape \[2\]/);
    await refuses(openBytes(layer('Scale', ...ones.slice(1))), 'VGG_INTEGRITY', /3 blobs of a Scale/);
  });
});

describe('layers', () => {
  test('of one name with weights twice', () =>
    refuses(openBytes(concat([dense(blob(floats(1))), dense(blob(floats(1)))])), 'VGG_INTEGRITY', /"x.weight" twice/));

  test('of 60,000 inputs and as many blobs', async () => {
    const inputs = concat(Array(60_000).fill(bytesField(3, 'a')));
    const blobs = concat(Array(60_000).fill(Uint8Array.of(0x3a, 0)));
    const file = await openBytes(layer('InnerProduct', inputs, blobs, OUTPUTS));
    expect(file.tensors.size).toBe(60_000);
  });

  test('of one name, of which one is only for training', async () => {
    const rule = bytesField(8, numberField(1, 0));
    const file = await openBytes(concat([layer('InnerProduct', blob(floats(3)), rule, OUTPUTS), dense(blob(floats(1)))]));
    expect(file.tensors.get('x.weight')!.shape).toEqual([1]);
    expect(file.graph!.layers.length).toBe(1);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['a million layers', concat([...Array(1e5).fill(concat(Array(10).fill(Uint8Array.of(0xa2, 6, 0))))]), /at most 16384 layers/],
    ['a million blobs', dense(concat(Array(1e6).fill(Uint8Array.of(0x3a, 0)))), /at most 131072 fields/],
    ['a million names', dense(concat(Array(1e6).fill(Uint8Array.of(0x1a, 0)))), /at most 131072 fields/],
    [
      'a million sizes in one field',
      concat([bytesField(4, new Uint8Array(60_000)), bytesField(4, new Uint8Array(60_000)), bytesField(4, new Uint8Array(60_000))]),
      /at most 131072 fields/,
    ],
    ['a million unknown fields', new Uint8Array(2e6).fill(0x28), /at most 131072 fields/],
    ['a name of ten million bytes', layer('ReLU', bytesField(3, new Uint8Array(1e7))), /"bottom" of 10000000 bytes/],
    ['parameters of a megabyte', layer('ReLU', bytesField(123, new Uint8Array(1e6))), /"relu_param" of 1000000 bytes/],
    [
      'a number as text',
      bytesField(100, concat([bytesField(1, 'x'), bytesField(2, 'ReLU'), numberField(3, 1)])),
      /"bottom" is stored as varint/,
    ],
    ['a float as a number', layer('Dropout', bytesField(108, numberField(1, 1))), /"dropout_ratio" is stored as varint/],
    ['a message as a number', layer('Dropout', numberField(108, 1)), /"dropout_param" is stored as varint/],
    [
      'parameters that pass their end',
      layer('Dropout', bytesField(108, Uint8Array.of(0x0a, 100))),
      /field 1 at byte 0 ends at byte 102, 100 bytes past/,
    ],
  ])('%s', (_, bytes, sentence) => refuses(openBytes(concat([dense(blob(floats(1))), bytes])), 'VGG_INTEGRITY', sentence));

  test('messages in messages, however deep, are only gone into where the schema does', async () => {
    let nested = bytesField(1, 'x');
    for (let i = 0; i < 1000; i++) nested = bytesField(1, nested);
    const file = await openBytes(
      concat([dense(blob(floats(1))), layer('ReLU', bytesField(999, nested), bytesField(123, bytesField(9, nested)))]),
    );
    expect(file.graph!.layers.length).toBe(2);
  });

  test('of 2013, and none at all', async () => {
    const oldest = bytesField(2, bytesField(1, concat([bytesField(1, 'conv1'), bytesField(2, 'conv')])));
    await refuses(openBytes(oldest), 'VGG_FORMAT', /expected a Caffe model of 2014 or later/);
    await refuses(openBytes(layer('ReLU')), 'VGG_FORMAT', /without any/);
  });

  test('names of JavaScript’s own', async () => {
    const file = await openBytes(
      bytesField(100, concat([bytesField(1, '__proto__'), bytesField(2, 'constructor'), bytesField(3, 'a'), blob(floats(1))])),
    );
    expect([...file.tensors.keys()]).toEqual(['__proto__.weight']);
    expect(file.graph!.layers).toEqual([{ kind: 'other', name: '__proto__', type: 'constructor' }]);
  });
});

describe('cut files', () => {
  test.each([0.2, 0.5, 0.9, 0.999])(
    'at %d of their length are refused, with how much is missing and the last whole layer',
    async (share) => {
      for (const name of ['caffe-v1.caffemodel', 'caffe-v2.caffemodel']) {
        const bytes = await fixture(`caffe/${name}`);
        const cut = bytes.slice(0, Math.floor(bytes.length * share));
        await refuses(
          openBytes(cut, name),
          'VGG_INTEGRITY',
          /ends at byte \d+, \d+ bytes past the end .*the last whole layer is "\w+", number \d+/,
        );
      }
    },
  );

  test('anywhere but between two layers', async () => {
    const bytes = await fixture('caffe/caffe-v2.caffemodel');
    const outcome = { opened: 0, refused: 0 };
    for (let length = 0; length < bytes.length; length += 3) {
      await openBytes(bytes.slice(0, length)).then(
        () => outcome.opened++,
        (error: Error) => {
          expect(error.name).toBe('VggError');
          outcome.refused++;
        },
      );
    }
    expect(outcome.opened).toBeLessThan(20);
    expect(outcome.refused).toBeGreaterThan(600);
  });

  test('a gigabyte that is only promised', () =>
    refuses(
      openBytes(bytesField(100, concat([bytesField(1, 'x'), bytesField(2, 'InnerProduct'), bytesHead(7, 2 ** 30)]))),
      'VGG_INTEGRITY',
      /past the end/,
    ));
});

describe('beside the model', () => {
  test('a prototxt that is too long is not read', async () => {
    const files = [new File([dense(blob(floats(1))) as BlobPart], 'x.caffemodel'), new File([new Uint8Array(5 * 2 ** 20)], 'x.prototxt')];
    const file = await openWeights(filesSource(files), FORMATS);
    expect(file.metadata.get('prototxt')).toMatch(/expected at most 4194304 bytes of text, received 5242880/);
  });

  test('names with paths in them are asked for by the source’s own rules', async () => {
    const files = [new File([dense(blob(floats(1))) as BlobPart], '..\\x.caffemodel')];
    const file = await openWeights(filesSource(files), FORMATS);
    expect(file.tensors.size).toBe(1);
  });

  test('an abort is an abort', async () => {
    const abort = new AbortController();
    const source = {
      ...bytesSource(dense(blob(floats(1))), 'x.caffemodel'),
      sibling: async () => {
        abort.abort();
        return bytesSource(new TextEncoder().encode('layer { }'), 'x.prototxt');
      },
    };
    await refuses(openWeights(source, { ...FORMATS, signal: abort.signal }), 'VGG_ABORTED', /stopped/);
  });
});

test.each(['caffe-v1.caffemodel', 'caffe-v2.caffemodel', 'caffe-v2.prototxt', 'caffe-mean.binaryproto'])(
  '400 seeded mutations of %s',
  async (name) => {
    const bytes = await fixture(`caffe/${name}`);
    const next = random(11);
    const outcome = { opened: 0, refused: 0 };
    for (let i = 0; i < 400; i++) {
      const changed = mutate(bytes, next);
      try {
        const file = await openBytes(changed, name);
        for (const { name: tensor, present } of file.tensors.values())
          if (present) expect((await file.read(tensor)).length).toBeLessThanOrEqual(bytes.length);
        outcome.opened++;
      } catch (error) {
        expect([(error as Error).name, (error as Error).stack]).toEqual(['VggError', expect.anything()]);
        outcome.refused++;
      }
    }
    expect(outcome.refused).toBeGreaterThan(50);
    expect(outcome.opened).toBeGreaterThan(20);
  },
);
