import * as tf from '@tensorflow/tfjs-core';
import { type Conv3x3Options, installConv3x3 } from '../packages/core/src/kernels/wasm/conv3x3.js';
import type { MemoryMode } from '../packages/core/src/kernels/wasm/conv3x3-memory.js';
import { simdOf } from '../packages/core/src/kernels/wasm/features.js';
import { instantiate } from '../packages/core/src/kernels/wasm/instantiate.js';
import { ThreadPool } from '../packages/core/src/kernels/wasm/threads/pool.js';
import { median } from './support/median.js';
import { BLOCKS } from './support/vgg16.js';

interface Layer {
  name: string;
  filter: tf.Tensor4D;
  bias: tf.Tensor1D;
  pool: boolean;
}

/**
 * Our 3x3 convolution, on one thread and on several, against the one of tfjs on the same tensors, in interleaved rounds:
 * node benchmarks/run.mjs conv3x3 [size] [blocks] [rounds] [fixed|relaxed|auto] [fast|balanced|small] [threads]
 */
export async function main([
  size = '128',
  blocks = '3',
  rounds = '7',
  build = 'auto',
  mode = 'fast',
  threads = '2',
]: string[]): Promise<void> {
  const { runtime } = await instantiate({ simd: simdOf(WebAssembly) !== 'none', shared: true });
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', () => runtime.backend, 2);
  await tf.setBackend('wasm');
  const pool = new ThreadPool(runtime);
  await pool.grow(Number(threads));
  const options: Conv3x3Options = { pool, ...(build === 'auto' ? {} : { build: build as 'fixed' }) };

  const layers: Layer[] = [];
  let channels = 3;
  BLOCKS.slice(0, Number(blocks)).forEach((outs, block) => {
    outs.forEach((out, i) => {
      // He's initialisation keeps the activations at one size.
      const filter = tf.randomNormal([3, 3, channels, out], 0, Math.sqrt(2 / (9 * channels)), 'float32', block * 10 + i) as tf.Tensor4D;
      layers.push({ name: `conv${block + 1}_${i + 1}`, filter, bias: tf.zeros([out]), pool: i === outs.length - 1 });
      channels = out;
    });
  });
  const image = tf.randomUniform([1, Number(size), Number(size), 3], -1, 1, 'float32', 1) as tf.Tensor4D;

  const convolve = (x: tf.Tensor4D, { filter, bias }: Layer): tf.Tensor4D =>
    tf.fused.conv2d({ x, filter, bias, strides: 1, pad: 'same', activation: 'relu' });
  const forward = (): tf.Tensor4D =>
    tf.tidy(() => layers.reduce((x, layer) => (layer.pool ? tf.maxPool(convolve(x, layer), 2, 2, 'valid') : convolve(x, layer)), image));

  // Inputs of every layer, once, with the kernels of tfjs.
  const inputs = layers.map(() => image);
  let x = image;
  layers.forEach((layer, i) => {
    inputs[i] = x;
    x = convolve(x, layer);
    if (layer.pool) x = tf.maxPool(x, 2, 2, 'valid');
  });
  const expected = x.dataSync();

  const stock: number[][] = layers.map(() => []);
  const ours: number[][] = layers.map(() => []);
  const shared: number[][] = layers.map(() => []);
  const whole: [number[], number[], number[]] = [[], [], []];
  let first = 0;
  let filterBytes = 0;
  let built = '';
  let got: ArrayLike<number> = [];
  for (let round = -2; round < Number(rounds); round++) {
    const measure = (times: number[], work: () => tf.Tensor): void => {
      const ms = time(() => work().dispose());
      if (round >= 0) times.push(ms);
    };
    const measureAll = (each: number[][], all: number[]): void => {
      for (const [i, layer] of layers.entries()) measure(each[i], () => convolve(inputs[i], layer));
      measure(all, forward);
    };
    const measureOurs = (): void => {
      pool.limit = 1;
      measureAll(ours, whole[1]);
      pool.limit = Number(threads);
      measureAll(shared, whole[2]);
    };
    measureAll(stock, whole[0]);
    const conv = await installConv3x3(runtime, options);
    conv.mode = mode as MemoryMode;
    pool.limit = Number(threads);
    const setup = time(() => {
      for (const [i, layer] of layers.entries()) convolve(inputs[i], layer).dispose();
    });
    if (round === -2) {
      first = setup;
      // The engine compiles the hot loops anew meanwhile.
      for (let again = 0; again < 3; again++) measureOurs();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    measureOurs();
    filterBytes = conv.filterBytes();
    built = conv.build;
    const output = forward();
    got = output.dataSync();
    output.dispose();
    conv.uninstall();
  }

  const load = (await import('node:os')).loadavg()[0].toFixed(1);
  console.log(
    `node ${process.version}, ${size}x${size}, ${blocks} blocks, build ${built}, memory ${mode}, ${rounds} rounds, medians; load ${load}`,
  );
  console.log(`layer      stock ms  ours ms  ${pool.threads} threads  ratio   GFLOP/s: stock  ours  ${pool.threads} threads`);
  layers.forEach((layer, i) => {
    const [, height, width, ins] = inputs[i].shape;
    const flops = 2 * 9 * height * width * ins * layer.filter.shape[3];
    const [a, b, c] = [stock, ours, shared].map((times) => median(times[i]));
    const speeds = [a, b, c].map((ms) => (flops / ms / 1e6).toFixed(1).padStart(9));
    console.log(
      [
        layer.name.padEnd(9),
        a.toFixed(2).padStart(9),
        b.toFixed(2).padStart(8),
        c.toFixed(2).padStart(9),
        (b / c).toFixed(2).padStart(7),
        ...speeds,
      ].join(' '),
    );
  });
  const sum = (times: number[][], of: (values: number[]) => number): number => times.reduce((total, each) => total + of(each), 0);
  const best = (values: number[]): number => Math.min(...values);
  const row = (name: string, of: (times: number[]) => number, sets: readonly number[][][]): void => {
    const [a, b, c] = sets.map((times) => sum(times, of));
    console.log(
      `${name}: stock ${a.toFixed(1)} ms, ours ${b.toFixed(1)} ms, ${pool.threads} threads ${c.toFixed(1)} ms (${(b / c).toFixed(2)})`,
    );
  };
  row('convolutions, medians', median, [stock, ours, shared]);
  row('convolutions, best', best, [stock, ours, shared]);
  const stacks = whole.map((times) => [times]);
  row('with pools, medians', median, stacks);
  row('with pools, best', best, stacks);
  let error = 0;
  let most = 0;
  expected.forEach((value, i) => {
    error = Math.max(error, Math.abs(value - got[i]));
    most = Math.max(most, Math.abs(value));
  });
  console.log(
    `first pass, with the transforms of the filters: ${first.toFixed(0)} ms; they take ${(filterBytes / 2 ** 20).toFixed(1)} MiB; difference to stock at the end: ${(error / most).toExponential(1)} of the maximum`,
  );
  pool.close();
}

function time(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
