import { bytesSource, openWeights, writeSafetensors } from '@vgg/loaders';
import { describe, expect, test } from 'vitest';
import { smallFile, smallWeights } from '../../test/small-weights.js';
import { network } from '../network/architecture.js';
import { initialWeights } from './initialize.js';
import { transplant } from './transplant.js';

// Columns A and D, narrow.
const DENSE = { dense: [20, 12], classes: 5, size: 32 };
const A = { name: 'a', blocks: [[4], [6], [8, 8], [8, 8], [8, 8]], ...DENSE };
const D = {
  name: 'd',
  blocks: [
    [4, 4],
    [6, 6],
    [8, 8, 8],
    [8, 8, 8],
    [8, 8, 8],
  ],
  ...DENSE,
};
const open = async (plan: typeof A & { batchNorm?: boolean }) => openWeights(bytesSource(await smallFile(plan), 'a.safetensors'));
const copies = ['conv1_1', 'conv2_1', 'conv3_1', 'conv3_2', 'fc6', 'fc7', 'fc8'];

describe("the paper's transplant of A into a deeper column", () => {
  test('copies four convolutions and the dense layers bit for bit and initialises the others', async () => {
    const net = network(D);
    const { file, copied, initialized } = transplant(await open(A), net, { initializer: 'normal', seed: 3 });
    expect(copied).toEqual(copies);
    const fresh = initialWeights(net, { initializer: 'normal', seed: 3 });
    const old = smallWeights(network(A));
    expect([...file.tensors.keys()]).toEqual([...fresh.tensors.keys()]);
    for (const name of file.tensors.keys()) {
      const layer = name.split('.')[0]!;
      const expected = copied.includes(layer) ? old.get(name)!.values : await fresh.read(name);
      expect(await file.read(name), name).toEqual(expected);
      expect(copied.includes(layer)).not.toBe(initialized.includes(layer));
    }
  });

  test('finds the layers under the names of torchvision, which count from the front', async () => {
    const net = network({ ...A, dense: [20, 12] });
    // Of A every layer has another number than in D: features.0, 3, 6, 8 ...
    const numbers = { conv1_1: 0, conv2_1: 3, conv3_1: 6, conv3_2: 8, conv4_1: 11, conv4_2: 13, conv5_1: 16, conv5_2: 18 };
    const old = smallWeights(net);
    const tensors = [...old]
      .filter(([name]) => name.startsWith('conv'))
      .map(([name, { shape, values }]) => {
        const [layer, part] = name.split('.') as [keyof typeof numbers, string];
        const [kh, kw, ins, outs] = shape as [number, number, number, number];
        if (part === 'bias') return { name: `features.${numbers[layer]}.bias`, shape, values: async () => values };
        const moved = new Float32Array(values.length);
        for (let at = 0; at < values.length; at++) {
          const [o, i, cell] = [at % outs, Math.floor(at / outs) % ins, Math.floor(at / (outs * ins))];
          moved[(o * ins + i) * kh * kw + cell] = values[at]!;
        }
        return { name: `features.${numbers[layer]}.weight`, shape: [outs, ins, kh, kw], values: async () => moved };
      });
    const chunks: Uint8Array[] = [];
    for await (const chunk of writeSafetensors(tensors, {})) chunks.push(chunk);
    const bytes = new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
    const from = await openWeights(bytesSource(bytes, 'vgg11.safetensors'));
    const { file, copied } = transplant(from, network({ ...D, top: false }), { arch: { ...A, top: false } });
    expect(copied).toEqual(copies.slice(0, 4));
    for (const layer of copied) expect(await file.read(`${layer}.weight`)).toEqual(old.get(`${layer}.weight`)!.values);
  });

  test('takes the batch normalisation with its convolution', async () => {
    const { file, copied } = transplant(await open({ ...A, batchNorm: true }), network({ ...D, batchNorm: true }));
    expect(copied).toEqual(['conv1_1', 'bn1_1', 'conv2_1', 'bn2_1', 'conv3_1', 'bn3_1', 'conv3_2', 'bn3_2', 'fc6', 'fc7', 'fc8']);
    const old = smallWeights(network({ ...A, batchNorm: true }));
    expect(await file.read('bn3_2.variance')).toEqual(old.get('bn3_2.variance')!.values);
    expect(new Set(await file.read('bn3_3.variance'))).toEqual(new Set([1]));
  });

  test('other classes: the layers but fc8', async () => {
    const net = network({ ...D, classes: 3 });
    const from = await open(A);
    expect(() => transplant(from, net)).toThrow(expect.objectContaining({ code: 'VGG_SHAPE', message: expect.stringContaining('fc8') }));
    const { copied, initialized } = transplant(from, net, { layers: copies.slice(0, -1) });
    expect(copied).toEqual(copies.slice(0, -1));
    expect(initialized).toContain('fc8');
  });

  test('a layer that the old network lacks is refused', async () => {
    const from = await open(A);
    expect(() => transplant(from, network(D), { layers: ['conv1_2'] })).toThrow(
      expect.objectContaining({ code: 'VGG_LAYER', message: expect.stringContaining('which a lacks') }),
    );
  });
});
