import * as ort from 'onnxruntime-web';
import { describe, expect, it } from 'vitest';
import { onnxWriter } from '../../src/formats/onnx/write.js';
import type { FileGraph } from '../../src/graph.js';
import type { StoredType } from '../../src/writer.js';
import { random } from '../random.js';
import { written } from '../writing.js';
import { DEEP, forward, toWriteAll, WIDE, weightsOf } from './network.js';

ort.env.wasm.numThreads = 1;

/** The largest difference between what onnxruntime makes of our file and the plain forward, as a part of the largest value. */
async function difference(graph: FileGraph, side: number, dtype: StoredType): Promise<number> {
  const weights = weightsOf(graph);
  const channels = graph.input!.channels!;
  const next = random(5);
  const picture = {
    height: side,
    width: side,
    channels,
    data: Float64Array.from({ length: side * side * channels }, () => Math.fround(next() * 4 - 2)),
  };
  const expected = forward(graph, weights, picture);
  const file = onnxWriter.write({ name: 'net.onnx', graph, tensors: toWriteAll(weights), dtype })[0]!;
  const session = await ort.InferenceSession.create((await written([file])).get('net.onnx')!);
  const nchw = new Float32Array(picture.data.length);
  for (let i = 0; i < nchw.length; i++) nchw[(i % channels) * side * side + Math.floor(i / channels)] = picture.data[i]!;
  const results = await session.run({ input: new ort.Tensor('float32', nchw, [1, channels, side, side]) });
  expect(session.outputNames).toEqual([graph.layers.at(-1)!.name]);
  const output = results[session.outputNames[0]!]!;
  expect(output.dims).toEqual([1, expected.channels]);
  await session.release();
  const largest = Math.max(...expected.data.map(Math.abs));
  const got = output.data as Float32Array;
  return Math.max(...got.map((value, i) => Math.abs(value - expected.data[i]!))) / largest;
}

/** Without the softmax, which hides differences. */
const logits = (graph: FileGraph): FileGraph => ({ ...graph, layers: graph.layers.slice(0, -1) });

describe('ONNX that we write, run by onnxruntime', () => {
  it('gives what the network gives: batch normalisation, LRN, reflected borders, rounding up, l2 pools, a dense top', async () => {
    expect(await difference(DEEP, 9, 'float32')).toBeLessThan(1e-5);
    expect(await difference(logits(DEEP), 9, 'float32')).toBeLessThan(1e-5);
  });

  it('gives what the network gives for pictures of any size: groups, strides, same borders, a mean', async () => {
    expect(await difference(WIDE, 17, 'float32')).toBeLessThan(1e-5);
    expect(await difference(logits(WIDE), 24, 'float32')).toBeLessThan(1e-5);
  });

  it('float16 and int8 are as near as their weights', async () => {
    const half = await difference(logits(DEEP), 9, 'float16');
    const whole = await difference(logits(DEEP), 9, 'int8');
    expect(half).toBeGreaterThan(1e-6);
    expect(half).toBeLessThan(2e-3);
    expect(whole).toBeGreaterThan(half);
    expect(whole).toBeLessThan(5e-2);
  });
});
