import * as tf from '@tensorflow/tfjs-core';
import {
  BATCH_NORM_INPUT_GRADIENT,
  BATCH_NORM_PARAMETER_GRADIENTS,
  BATCH_NORM_TRAINING,
  DROPOUT,
  RELU_GRADIENT,
  SIGMOID_CROSS_ENTROPY,
  SOFTMAX_CROSS_ENTROPY,
} from '../packages/core/src/kernels/names.js';
import { installConv3x3 } from '../packages/core/src/kernels/wasm/conv3x3.js';
import { fillWasmKernels } from '../packages/core/src/kernels/wasm/fill.js';
import { instantiate } from '../packages/core/src/kernels/wasm/instantiate.js';
import { installLayers } from '../packages/core/src/kernels/wasm/layers.js';
import { ThreadPool } from '../packages/core/src/kernels/wasm/threads/pool.js';
import { batchNormTraining } from '../packages/core/src/ops/batch-norm-training.js';
import { softmaxCrossEntropy } from '../packages/core/src/ops/cross-entropy.js';
import { dropout } from '../packages/core/src/ops/dropout.js';
import { reluGradient } from '../packages/core/src/ops/masked-gradient.js';
import { median } from './support/median.js';

const OWN = [
  BATCH_NORM_INPUT_GRADIENT,
  BATCH_NORM_PARAMETER_GRADIENTS,
  BATCH_NORM_TRAINING,
  DROPOUT,
  RELU_GRADIENT,
  SIGMOID_CROSS_ENTROPY,
  SOFTMAX_CROSS_ENTROPY,
];
const SERVED = ['MaxPoolGrad', 'AvgPoolGrad', 'LRNGrad', ...OWN];

interface Case {
  name: string;
  make(): () => tf.Tensor | tf.Tensor[];
  /** Bytes that must be read and written at the least. */
  bytes: number;
}

const random = (shape: number[], seed = 1): tf.Tensor => tf.randomUniform(shape, -1, 1, 'float32', seed);
const kernel = (name: string, inputs: Record<string, tf.Tensor>, attributes: object) => () =>
  tf.engine().runKernel(name, inputs, attributes as never) as tf.Tensor;
const sizeOf = (shape: number[]) => shape.reduce((product, size) => product * size, 1);

function batchNorm(shape: number[], activation: 'linear' | 'relu', backward: boolean): Case {
  return {
    name: `batch norm${activation === 'relu' ? ' and ReLU' : ''} ${backward ? 'and gradients ' : ''}${shape.join('x')}`,
    bytes: sizeOf(shape) * 4 * (backward ? 8 : 3),
    make() {
      const channels = shape[shape.length - 1];
      const [x, dy, scale, offset] = [random(shape), random(shape, 2), random([channels]), random([channels])];
      const run = (a: tf.Tensor, b: tf.Tensor, c: tf.Tensor) => batchNormTraining(a, { scale: b, offset: c, epsilon: 1e-5, activation }).y;
      return backward ? () => tf.tidy(() => tf.grads(run)([x, scale, offset], dy)) : () => tf.tidy(() => run(x, scale, offset));
    },
  };
}

function poolGradient(name: string, shape: number[], size: number, stride: number): Case {
  const out = [shape[0], ...[1, 2].map((axis) => Math.floor((shape[axis] - size) / stride) + 1), shape[3]];
  return {
    name: `${name} ${size}/${stride} ${shape.join('x')}`,
    bytes: (sizeOf(shape) * (name === 'MaxPoolGrad' ? 2 : 1) + sizeOf(out)) * 4,
    make() {
      const input = random(shape);
      const attributes = { filterSize: [size, size], strides: [stride, stride], pad: 'valid' };
      return kernel(name, { input, output: random(out), dy: random(out, 2) }, attributes);
    },
  };
}

const SMALL = [128, 32, 32, 64];
const LARGE = [4, 224, 224, 64];
const CASES: Case[] = [
  batchNorm(SMALL, 'linear', false),
  batchNorm(SMALL, 'relu', false),
  batchNorm(SMALL, 'relu', true),
  batchNorm([128, 4, 4, 512], 'relu', true),
  poolGradient('MaxPoolGrad', LARGE, 2, 2),
  poolGradient('MaxPoolGrad', SMALL, 2, 2),
  poolGradient('MaxPoolGrad', [4, 113, 113, 64], 3, 2),
  poolGradient('AvgPoolGrad', LARGE, 2, 2),
  poolGradient('AvgPoolGrad', [4, 113, 113, 64], 3, 2),
  {
    name: `LRNGrad ${LARGE.join('x')}`,
    bytes: sizeOf(LARGE) * 12,
    make() {
      const [x, y, dy] = [random(LARGE), random(LARGE, 2), random(LARGE, 3)];
      return kernel('LRNGrad', { x, y, dy }, { depthRadius: 2, bias: 2, alpha: 1e-4, beta: 0.75 });
    },
  },
  {
    name: `ReLU gradient ${LARGE.join('x')}`,
    bytes: sizeOf(LARGE) * 12,
    make() {
      const [y, dy] = [random(LARGE), random(LARGE, 2)];
      return () => tf.tidy(() => reluGradient(dy, y));
    },
  },
  {
    name: 'dropout 128x4096',
    bytes: 128 * 4096 * 8,
    make() {
      const x = random([128, 4096]);
      return () => tf.tidy(() => dropout(x, { keep: 0.5, key: [1] }));
    },
  },
  ...[10, 1000].map((classes) => ({
    name: `softmax cross-entropy and gradient 128x${classes}`,
    bytes: 128 * classes * 12,
    make() {
      const logits = random([128, classes]);
      const labels = tf.tensor(new Int32Array(128).fill(3), [128], 'int32');
      return () => tf.tidy(() => tf.grad((x) => softmaxCrossEntropy(x, labels, { smoothing: 0.1 }))(logits));
    },
  })),
];

/**
 * What training needs beside products and convolutions, by our kernels, and by what would serve without them: tfjs's kernels, the
 * JavaScript that stands in for its MaxPoolGrad, or a composition. Interleaved rounds on the same tensors:
 * node benchmarks/run.mjs training-layers [rounds] [part of a name] [threads]
 */
export async function main([rounds = '7', only = '', threads = '2']: string[]): Promise<void> {
  const { runtime } = await instantiate({ simd: true, shared: true });
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', () => runtime.backend, 2);
  await tf.setBackend('wasm');
  fillWasmKernels();
  const registered = () => SERVED.map((name) => tf.getKernel(name, 'wasm'));
  const stock = registered();
  const pool = new ThreadPool(runtime);
  const conv = await installConv3x3(runtime, { pool });
  installLayers(runtime, conv);
  await pool.grow(Number(threads));
  const ours = registered();
  const sides = [
    { kernels: stock, limit: Number(threads) },
    { kernels: ours, limit: 1 },
    { kernels: ours, limit: Number(threads) },
  ];
  const use = ({ kernels, limit }: (typeof sides)[number]): void => {
    pool.limit = limit;
    SERVED.forEach((name, i) => {
      if (tf.getKernel(name, 'wasm')) tf.unregisterKernel(name, 'wasm');
      if (kernels[i]) tf.registerKernel(kernels[i]);
    });
  };

  console.log(`node ${process.version}, build ${conv.build}, ${rounds} rounds; ms: median (least); shared: by ${pool.threads} threads`);
  const header = ['without', '(least)', 'ours', '(least)', 'shared', '(least)', 'ratio', 'speed-up', 'GB/s'];
  console.log(''.padEnd(48), ...header.map((name) => name.padStart(9)));
  for (const { name, make, bytes } of CASES) {
    if (!name.includes(only)) continue;
    tf.engine().startScope();
    const work = make();
    const times: number[][] = [[], [], []];
    for (let round = -2; round < Number(rounds); round++) {
      sides.forEach((one, side) => {
        use(one);
        const start = performance.now();
        const y = work();
        const ms = performance.now() - start;
        if (round >= 0) times[side].push(ms);
        tf.dispose(y);
      });
    }
    const [a, b, c] = times.map(median);
    console.log(
      name.padEnd(48),
      ...[
        ...times.flatMap((each) => [median(each).toFixed(3), Math.min(...each).toFixed(3)]),
        (a / b).toFixed(2),
        (b / c).toFixed(2),
        (bytes / Math.min(...times[1]) / 1e6).toFixed(1),
      ].map((text) => text.padStart(9)),
    );
    tf.engine().endScope();
  }
  use(sides[2]);
  pool.close();
}
