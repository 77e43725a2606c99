import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { loadLayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { tfjsWriter } from '../../src/formats/tfjs/write.js';
import type { FileGraph } from '../../src/index.js';
import { random } from '../random.js';
import { type SmallVgg, smallVgg } from '../vgg-request.js';
import { written } from '../writing.js';

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
