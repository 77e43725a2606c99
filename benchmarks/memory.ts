import * as tf from '@tensorflow/tfjs-core';
import { installConv3x3 } from '../packages/core/src/kernels/wasm/conv3x3.js';
import { filterForm, MEMORY_MODES, type MemoryMode } from '../packages/core/src/kernels/wasm/conv3x3-memory.js';
import { simdOf } from '../packages/core/src/kernels/wasm/features.js';
import { instantiate } from '../packages/core/src/kernels/wasm/instantiate.js';
import { installLayers } from '../packages/core/src/kernels/wasm/layers.js';
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
 * VGG-16's convolutions and pools in each memory mode: how much the heap grows, each mode on a heap of its own, and how long a pass takes,
 * the modes interleaved on one heap: node benchmarks/run.mjs memory [size] [rounds] [threads]
 */
export async function main([size = '224', rounds = '5', threads = '1']: string[]): Promise<void> {
  console.log(`node ${process.version}, ${size}x${size}, ${threads} threads, MB of 10^6 bytes`);
  for (const mode of MEMORY_MODES) {
    const { conv, pool, grown, start, forward } = await open(Number(size), Number(threads));
    conv.mode = mode;
    const loaded = grown();
    for (let pass = 0; pass < 3; pass++) forward();
    console.log(
      `${mode.padEnd(9)} heap ${mega(start + grown())} MB, grown by ${mega(grown())} MB: ${mega(loaded)} with the weights, filters ${mega(conv.filterBytes())}`,
    );
    tf.removeBackend('wasm');
    pool.close();
  }
  const { conv, pool, layers, convolve, inputs, forward } = await open(Number(size), Number(threads));
  const times: Record<MemoryMode, number[][]> = { fast: [], balanced: [], small: [] };
  for (const mode of MEMORY_MODES) times[mode] = [...layers.map(() => []), []];
  for (let round = -2; round < Number(rounds); round++) {
    for (const mode of MEMORY_MODES) {
      conv.mode = mode;
      const look = (i: number, work: () => void): void => {
        const begin = performance.now();
        work();
        if (round >= 0) times[mode][i].push(performance.now() - begin);
      };
      layers.forEach((layer, i) => {
        look(i, () => convolve(inputs[i], layer).dispose());
      });
      look(layers.length, forward);
    }
  }
  console.log(`layer      ${MEMORY_MODES.map((mode) => `${mode} ms`.padStart(20)).join(' ')}`);
  [...layers.map(({ name }) => name), 'pass'].forEach((name, i) => {
    const cells = MEMORY_MODES.map((mode) => {
      const ms = median(times[mode][i]).toFixed(2).padStart(9);
      if (i === layers.length) return ms.padStart(20);
      const [batchSize, outHeight, outWidth, inChannels] = inputs[i].shape;
      const form = filterForm(mode, { batchSize, inChannels, outHeight, outWidth, outChannels: layers[i].filter.shape[3] });
      return `${form.padStart(10)} ${ms}`;
    });
    console.log(`${name.padEnd(10)} ${cells.join(' ')}`);
  });
  pool.close();
}

async function open(size: number, threads: number) {
  const { runtime } = await instantiate({ simd: simdOf(WebAssembly) !== 'none', shared: true });
  if (tf.findBackendFactory('wasm')) tf.removeBackend('wasm');
  tf.registerBackend('wasm', () => runtime.backend, 2);
  await tf.setBackend('wasm');
  const pool = new ThreadPool(runtime);
  await pool.grow(threads);
  const conv = await installConv3x3(runtime, { pool });
  installLayers(runtime, conv);
  const start = runtime.memory.buffer.byteLength;
  const layers: Layer[] = [];
  let channels = 3;
  BLOCKS.forEach((outs, block) => {
    outs.forEach((out, i) => {
      const filter = tf.fill([3, 3, channels, out], 0.01) as tf.Tensor4D;
      layers.push({ name: `conv${block + 1}_${i + 1}`, filter, bias: tf.zeros([out]), pool: i === outs.length - 1 });
      channels = out;
    });
  });
  const convolve = (x: tf.Tensor4D, { filter, bias }: Layer): tf.Tensor4D =>
    tf.fused.conv2d({ x, filter, bias, strides: 1, pad: 'same', activation: 'relu' });
  const image = tf.randomUniform([1, size, size, 3], -1, 1, 'float32', 1) as tf.Tensor4D;
  const pass = (keep?: tf.Tensor4D[]): void => {
    let x = image;
    const next = (y: tf.Tensor4D): void => {
      if (x !== image && !keep?.includes(x)) x.dispose();
      x = y;
    };
    for (const layer of layers) {
      keep?.push(x);
      next(convolve(x, layer));
      if (layer.pool) next(tf.maxPool(x, 2, 2, 'valid'));
    }
    x.dispose();
  };
  const inputs: tf.Tensor4D[] = [];
  return {
    conv,
    pool,
    layers,
    convolve,
    start,
    grown: () => runtime.memory.buffer.byteLength - start,
    forward: () => pass(),
    get inputs() {
      if (inputs.length === 0) pass(inputs);
      return inputs;
    },
  };
}

function mega(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
