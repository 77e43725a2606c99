import * as tf from '@tensorflow/tfjs-core';
import { installConv3x3 } from '../packages/core/src/kernels/wasm/conv3x3.js';
import { simdOf } from '../packages/core/src/kernels/wasm/features.js';
import { instantiate } from '../packages/core/src/kernels/wasm/instantiate.js';
import { installLayers } from '../packages/core/src/kernels/wasm/layers.js';
import { ThreadPool } from '../packages/core/src/kernels/wasm/threads/pool.js';
import { median } from './support/median.js';

const SERVED = ['BatchMatMul', '_FusedMatMul', 'Conv2D', 'FusedConv2D', 'MaxPool', 'AvgPool', 'LRN', 'FusedBatchNorm'];

/** A call with its tensors made once. */
interface Case {
  name: string;
  make(): () => tf.Tensor;
  /** Operations of a call, a multiply-accumulate being two. */
  operations?: number;
}

const random = <T extends tf.Tensor = tf.Tensor>(shape: number[]): T => tf.randomUniform(shape, -1, 1, 'float32', 1) as tf.Tensor as T;
const kernel = (name: string, inputs: Record<string, tf.Tensor>, attributes: object) => () =>
  tf.engine().runKernel(name, inputs, attributes as never) as tf.Tensor;

function dense(batch: number, inputs: number, outputs: number): Case {
  return {
    name: `dense ${batch}, ${inputs} to ${outputs}`,
    operations: 2 * batch * inputs * outputs,
    make() {
      const tensors = { a: random([1, batch, inputs]), b: random([1, inputs, outputs]), bias: random([outputs]) };
      return kernel('_FusedMatMul', tensors, { transposeA: false, transposeB: false, activation: 'relu' });
    },
  };
}

function convolution(side: number, window: number, ins: number, outs: number): Case {
  return {
    name: `conv${window}x${window} ${side}x${side}, ${ins} to ${outs}`,
    operations: 2 * (side - window + 1) ** 2 * window ** 2 * ins * outs,
    make() {
      const x = random<tf.Tensor4D>([1, side, side, ins]);
      const filter = random<tf.Tensor4D>([window, window, ins, outs]);
      const bias = random<tf.Tensor1D>([outs]);
      return () => tf.fused.conv2d({ x, filter, bias, strides: 1, pad: 'valid', activation: 'relu' });
    },
  };
}

function product(transposeA: boolean, transposeB: boolean): Case {
  const [rows, depth, columns] = [256, 512, 512];
  return {
    name: `product ${rows}x${depth}x${columns}${transposeA ? ', A transposed' : ''}${transposeB ? ', B transposed' : ''}`,
    operations: 2 * rows * depth * columns,
    make() {
      const a = random<tf.Tensor2D>(transposeA ? [depth, rows] : [rows, depth]);
      const b = random<tf.Tensor2D>(transposeB ? [columns, depth] : [depth, columns]);
      return () => tf.matMul(a, b, transposeA, transposeB);
    },
  };
}

function pool(name: 'MaxPool' | 'AvgPool', side: number, channels: number, size: number, stride: number): Case {
  return {
    name: `${name} ${size}/${stride} ${side}x${side}x${channels}`,
    make: () =>
      kernel(name, { x: random([1, side, side, channels]) }, { filterSize: [size, size], strides: [stride, stride], pad: 'valid' }),
  };
}

const CASES: Case[] = [
  dense(1, 25088, 4096),
  dense(1, 4096, 4096),
  dense(1, 4096, 1000),
  dense(2, 4096, 4096),
  dense(4, 4096, 4096),
  dense(8, 4096, 4096),
  dense(32, 4096, 4096),
  convolution(56, 1, 256, 256),
  convolution(28, 1, 512, 512),
  convolution(14, 1, 512, 512),
  convolution(9, 7, 512, 256),
  product(false, false),
  product(true, false),
  product(false, true),
  ...[
    [224, 64],
    [112, 128],
    [56, 256],
    [28, 512],
    [14, 512],
  ].flatMap(([side, channels]) => [pool('MaxPool', side, channels, 2, 2), pool('AvgPool', side, channels, 2, 2)]),
  pool('MaxPool', 113, 64, 3, 2),
  pool('AvgPool', 14, 512, 14, 1),
  {
    name: 'LRN 224x224x64',
    make: () => kernel('LRN', { x: random([1, 224, 224, 64]) }, { depthRadius: 2, bias: 2, alpha: 1e-4, beta: 0.75 }),
  },
  {
    name: 'batch norm 224x224x64',
    make() {
      const values = tf.abs(random([64]));
      const parameters = { mean: values, variance: values, scale: values, offset: values };
      return kernel('FusedBatchNorm', { x: random([1, 224, 224, 64]), ...parameters }, { varianceEpsilon: 1e-3 });
    },
  },
];

/**
 * The layers of a network but for the 3x3 convolutions, ours against those of tfjs on the same tensors, in interleaved rounds:
 * node benchmarks/run.mjs layers [rounds] [part of a name] [fixed|relaxed|auto] [threads]
 */
export async function main([rounds = '7', only = '', build = 'auto', threads = '2']: string[]): Promise<void> {
  const { runtime } = await instantiate({ simd: simdOf(WebAssembly) !== 'none', shared: true });
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', () => runtime.backend, 2);
  await tf.setBackend('wasm');
  const registered = () => SERVED.map((name) => tf.getKernel(name, 'wasm'));
  const stock = registered();
  const pool = new ThreadPool(runtime);
  const conv = await installConv3x3(runtime, build === 'auto' ? { pool } : { build: build as 'fixed', pool });
  installLayers(runtime, conv);
  await pool.grow(Number(threads));
  const ours = registered();
  const sides = [
    { kernels: stock, limit: 1 },
    { kernels: ours, limit: 1 },
    { kernels: ours, limit: Number(threads) },
  ];
  const use = ({ kernels, limit }: (typeof sides)[number]): void => {
    pool.limit = limit;
    for (const config of kernels) {
      tf.unregisterKernel(config.kernelName, 'wasm');
      tf.registerKernel(config);
    }
  };

  console.log(`node ${process.version}, build ${conv.build}, ${rounds} rounds; ms: median (least); shared: by ${pool.threads} threads`);
  const header = ['stock', '(least)', 'ours', '(least)', 'shared', '(least)', 'ratio', 'speed-up', 'GFLOP/s', 'GB/s', 'difference'];
  console.log(''.padEnd(40), ...header.map((name) => name.padStart(9)));
  for (const { name, make, operations } of CASES) {
    if (!name.includes(only)) continue;
    tf.engine().startScope();
    const work = make();
    const bytes = tf.memory().numBytes;
    const outputs: tf.TypedArray[] = [];
    const times: number[][] = [[], [], []];
    for (let round = -2; round < Number(rounds); round++) {
      sides.forEach((one, side) => {
        use(one);
        const start = performance.now();
        const y = work();
        const ms = performance.now() - start;
        if (round >= 0) times[side].push(ms);
        else if (round === -2) outputs[side] = y.dataSync().slice();
        y.dispose();
      });
    }
    if (outputs[2].some((value, i) => value !== outputs[1][i])) throw new Error(`${name}: the number of threads changes the result`);
    const [a, b, c] = times.map(median);
    console.log(
      name.padEnd(40),
      ...[
        ...times.flatMap((each) => [median(each).toFixed(3), Math.min(...each).toFixed(3)]),
        (a / b).toFixed(2),
        (b / c).toFixed(2),
        operations ? (operations / b / 1e6).toFixed(1) : '',
        (bytes / b / 1e6).toFixed(1),
        difference(outputs[0], outputs[1]).toExponential(1),
      ].map((text) => text.padStart(9)),
    );
    tf.engine().endScope();
  }
  pool.close();
}

/** As a part of the largest value. */
function difference(expected: tf.TypedArray, actual: tf.TypedArray): number {
  let [error, most] = [0, 0];
  expected.forEach((value, i) => {
    error = Math.max(error, Math.abs(value - actual[i]));
    most = Math.max(most, Math.abs(value));
  });
  return error / most;
}
