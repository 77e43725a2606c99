import { createHash } from 'node:crypto';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { loadLayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { tfjsWriter } from '../../src/formats/tfjs/write.js';
import { bytesSource, type FileGraph, openWeights, type WriteRequest } from '../../src/index.js';
import { random } from '../random.js';
import { type SmallVgg, smallVgg } from '../vgg-request.js';
import { toWrite, written } from '../writing.js';

/** A map [height, width, channels]. */
interface Picture {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly data: Float64Array;
}

/** The network by its definition, in loops of double precision: what tfjs's own layers are held against. */
function forward(graph: FileGraph, values: ReadonlyMap<string, Float32Array>, input: Picture): Float64Array {
  let x = input;
  const vector = (length: number, at: (i: number) => number): Picture => {
    return { height: 1, width: 1, channels: length, data: Float64Array.from({ length }, (_, i) => at(i)) };
  };
  for (const layer of graph.layers) {
    const weight = (part: string) => values.get(`${layer.name}.${part}`)!;
    const { height, width, channels, data } = x;
    const at = (y: number, column: number, c: number) =>
      y < 0 || column < 0 || y >= height || column >= width ? 0 : data[(y * width + column) * channels + c]!;
    const map = (h: number, w: number, c: number, value: (y: number, x: number, c: number) => number): Picture => {
      const out = new Float64Array(h * w * c);
      for (let i = 0; i < out.length; i++) out[i] = value(Math.floor(i / c / w), Math.floor(i / c) % w, i % c);
      return { height: h, width: w, channels: c, data: out };
    };
    if (layer.kind === 'conv') {
      const [side] = layer.kernel;
      const pad = layer.pad as number;
      const [kernel, bias] = [weight('weight'), weight('bias')];
      x = map(height + 2 * pad - side + 1, width + 2 * pad - side + 1, layer.out, (y, column, c) => {
        let sum = bias[c]!;
        for (let i = 0; i < side; i++) {
          for (let j = 0; j < side; j++) {
            for (let k = 0; k < channels; k++)
              sum += at(y + i - pad, column + j - pad, k) * kernel[((i * side + j) * channels + k) * layer.out + c]!;
          }
        }
        return sum;
      });
    } else if (layer.kind === 'batchnorm') {
      const [scale, offset, mean, variance] = ['scale', 'offset', 'mean', 'variance'].map(weight) as [
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      x = map(height, width, channels, (y, column, c) => {
        return ((at(y, column, c) - mean[c]!) / Math.sqrt(variance[c]! + layer.epsilon)) * scale[c]! + offset[c]!;
      });
    } else if (layer.kind === 'pool') {
      const round = layer.rounding === 'ceil' ? Math.ceil : Math.floor;
      x = map(round(height / 2), round(width / 2), channels, (y, column, c) => {
        const cells: number[] = [];
        for (let i = 2 * y; i < Math.min(height, 2 * y + 2); i++) {
          for (let j = 2 * column; j < Math.min(width, 2 * column + 2); j++) cells.push(at(i, j, c));
        }
        return layer.pool === 'max' ? Math.max(...cells) : cells.reduce((sum, value) => sum + value, 0) / cells.length;
      });
    } else if (layer.kind === 'relu') {
      x = { ...x, data: data.map((value) => Math.max(0, value)) };
    } else if (layer.kind === 'dense') {
      const [kernel, bias] = [weight('weight'), weight('bias')];
      x = vector(layer.out, (i) => data.reduce((sum, value, k) => sum + value * kernel[k * layer.out + i]!, bias[i]!));
    } else if (layer.kind === 'mean') {
      x = vector(channels, (c) => data.reduce((sum, value, i) => sum + (i % channels === c ? value : 0), 0) / (height * width));
    } else if (layer.kind === 'softmax') {
      const exponents = data.map((value) => Math.exp(value - Math.max(...data)));
      const sum = exponents.reduce((total, value) => total + value, 0);
      x = { ...x, data: exponents.map((value) => value / sum) };
    }
  }
  return x.data;
}

beforeAll(() => tf.setBackend('cpu'));

describe.each<[string, SmallVgg, 'float32' | 'float16', number]>([
  ['dense layers', {}, 'float32', 1e-5],
  ['batch normalisation', { batchNorm: true }, 'float32', 1e-5],
  ['convolutions as the top', { top: 'conv' }, 'float32', 1e-5],
  ['no top, pools that round up', { top: 'none', rounding: 'ceil', size: 13 }, 'float32', 1e-5],
  ['float16', {}, 'float16', 5e-3],
])('tf.loadLayersModel of %s', (_, options, dtype, tolerance) => {
  test('gives the values that the weights give', async () => {
    const { request, values } = smallVgg(options);
    const files = await written(tfjsWriter.write({ ...request, name: 'model.json', dtype }));
    const { modelTopology, weightsManifest, userDefinedMetadata } = JSON.parse(new TextDecoder().decode(files.get('model.json')!));
    const shards = weightsManifest.flatMap(({ paths }: { paths: string[] }) => paths.map((path) => files.get(path)!));
    const weightData = await new Blob(shards).arrayBuffer();
    const weightSpecs = weightsManifest.flatMap(({ weights }: { weights: object[] }) => weights);
    const model = await loadLayersModel({ load: async () => ({ modelTopology, weightSpecs, weightData, userDefinedMetadata }) });
    expect(model.getUserDefinedMetadata()).toEqual(Object.fromEntries(request.metadata!));
    const { height, width } = request.graph.input as { height: number; width: number };
    const next = random(3);
    const data = Float32Array.from({ length: height * width * 3 }, () => next() - 0.5);
    const output = model.predict(tf.tensor4d(data, [1, height, width, 3])) as tf.Tensor;
    const expected = forward(request.graph, values, { height, width, channels: 3, data: Float64Array.from(data) });
    const received = await output.data();
    expect(received.length).toBe(expected.length);
    const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const worst = expected.reduce((max, value, i) => Math.max(max, Math.abs(value - received[i]!)), 0);
    expect(worst / largest).toBeLessThan(tolerance);
    expect(largest).toBeGreaterThan(0.1);
  });
});

describe('with a hash function', () => {
  function sha256() {
    const running = createHash('sha256');
    return { update: (bytes: Uint8Array) => void running.update(bytes), digest: () => running.digest('hex') };
  }
  const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const jsonOf = (files: ReadonlyMap<string, Uint8Array>) => JSON.parse(new TextDecoder().decode(files.get('model.json')!));

  /** A dense layer of 1100 x 2000: 8.8 MB, three shards, the last of them not full. */
  function large() {
    const values = Float32Array.from({ length: 2_200_000 }, (_, i) => Math.sin(i));
    const graph: FileGraph = {
      input: { channels: 1100, height: 1, width: 1 },
      layers: [{ kind: 'dense', name: 'fc6', in: 1100, out: 2000, bias: true }],
    };
    const tensors = [toWrite('fc6.weight', [1100, 2000], values), toWrite('fc6.bias', [2000], values.slice(7, 2007))];
    const request: WriteRequest = { name: 'model.json', graph, tensors, sha256 };
    return { request, values };
  }

  test('the group has the sha256 of each shard, in whatever order the files are written', async () => {
    const { request, values } = large();
    const files = await written(tfjsWriter.write(request));
    const paths = [1, 2, 3].map((i) => `group1-shard${i}of3.bin`);
    expect([...files.keys()]).toEqual([...paths, 'model.json']);
    const [{ sha256: hashes, ...group }] = jsonOf(files).weightsManifest;
    expect(hashes).toEqual(paths.map((path) => hashOf(files.get(path)!)));
    const { sha256: _, ...plain } = request;
    expect(jsonOf(await written(tfjsWriter.write(plain)))).toEqual({ ...jsonOf(files), weightsManifest: [group] });

    const turned = await written(tfjsWriter.write(request).reverse());
    expect(turned.get('model.json')).toEqual(files.get('model.json'));
    for (const path of paths) expect(hashOf(turned.get(path)!)).toBe(hashOf(files.get(path)!));

    // The model in the midst of the first shard, which then goes on where it was.
    const again = tfjsWriter.write(request);
    const whole = createHash('sha256');
    let json: Uint8Array | undefined;
    for await (const chunk of again[0]!.chunks()) {
      whole.update(chunk as Uint8Array);
      json ??= (await written([again[3]!])).get('model.json');
    }
    expect(json).toEqual(files.get('model.json'));
    expect(whole.digest('hex')).toBe(hashes[0]);

    const file = await openWeights(
      {
        ...bytesSource(files.get('model.json')!, 'model.json'),
        sibling: async (name) => bytesSource(files.get(name)!, name),
      },
      { sha256 },
    );
    const read = await file.read([...file.tensors.keys()][0]!);
    expect(read.findIndex((value, i) => value !== values[i])).toBe(-1);
  });

  test.each(['float32', 'float16'] as const)('tf.loadLayersModel over HTTP passes over the hashes (%s)', async (dtype) => {
    const { request, values } = smallVgg();
    const files = await written(tfjsWriter.write({ ...request, name: 'model.json', dtype, sha256 }));
    expect(jsonOf(files).weightsManifest[0].sha256).toHaveLength(1);
    const asked: string[] = [];
    const fetchFunc = async (url: string) => {
      const name = url.split('/').at(-1)!;
      asked.push(name);
      return new Response(files.get(name));
    };
    const model = await loadLayersModel(tf.io.http('https://example.org/small/model.json', { fetchFunc: fetchFunc as typeof fetch }));
    expect(asked).toEqual(['model.json', 'group1-shard1of1.bin']);
    const kernel = (await model.getLayer('fc1').getWeights()[0]!.data()) as Float32Array;
    const expected = values.get('fc6.weight')!;
    expect(kernel.length).toBe(expected.length);
    expect(kernel.every((value, i) => Math.abs(value - expected[i]!) <= (dtype === 'float16' ? 2 ** -12 : 0))).toBe(true);
  });
});
