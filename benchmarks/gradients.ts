import * as tf from '@tensorflow/tfjs-core';
import { registerGradients } from '../packages/core/src/gradients.js';
import { FILTER_GRADIENT, INPUT_GRADIENT } from '../packages/core/src/kernels/names.js';
import { openWasm } from '../packages/core/src/kernels/wasm/open.js';
import type { ThreadPool } from '../packages/core/src/kernels/wasm/threads/pool.js';
import { conv2d } from '../packages/core/src/ops/conv2d.js';
import { chainGradients } from '../packages/core/src/ops/differentiable.js';
import { pool } from '../packages/core/src/ops/pool.js';
import { processorTime, recordKernels } from './support/kernel-times.js';
import { median } from './support/median.js';
import { BLOCKS } from './support/vgg16.js';

const KERNELS = ['FusedConv2D', INPUT_GRADIENT, FILTER_GRADIENT];

/** Milliseconds of the clock that was chosen. */
let now = (): number => performance.now();

interface Layer {
  side: number;
  ins: number;
  outs: number;
}

/**
 * The gradients of VGG-16's convolutions at 224x224: layer by layer against the forward kernel, then forward and forward with backward
 * of the whole stack with its pools, in interleaved rounds:
 * node benchmarks/run.mjs gradients [rounds] [batch] [threads, such as 1,2] [layers|stack|all] [wall|cpu]
 * With `cpu`, and one thread, processor time is measured, which a busy machine disturbs less.
 */
export async function main([rounds = '5', batch = '4', threads = '1,2', part = 'all', clock = 'wall']: string[]): Promise<void> {
  if (clock === 'cpu') now = processorTime;
  const opened = await openWasm({ simd: true, shared: true });
  await tf.setBackend('wasm');
  registerGradients();
  const counts = threads.split(',').map(Number);
  await opened.pool.grow(Math.max(...counts));
  console.log(`node ${process.version}, build ${opened.build}, batch ${batch}, ${clock} time, medians of ${rounds} rounds`);
  for (const count of counts) {
    opened.pool.limit = count;
    if (part !== 'stack') tellLayers(opened.pool, Number(batch), Number(rounds));
    if (part !== 'layers') tellStack(opened.pool, Number(batch), Number(rounds));
  }
  opened.pool.close();
}

function layers(): Layer[] {
  let ins = 3;
  return BLOCKS.flatMap((block, i) =>
    block.map((outs) => {
      const layer = { side: 224 >> i, ins, outs };
      ins = outs;
      return layer;
    }),
  );
}

function tellLayers({ threads }: ThreadPool, batch: number, rounds: number): void {
  console.log(`\nthreads: ${threads}; ms, and GFLOP/s as if every product were computed`);
  console.log(''.padEnd(22), ...['forward', '', 'input', '', 'filter', '', 'its rate / forward'].map((name) => name.padStart(8)));
  const totals = [0, 0, 0];
  for (const layer of layers()) {
    const medians = timeLayer(batch, layer, rounds);
    const operations = 2 * batch * layer.side ** 2 * 9 * layer.ins * layer.outs;
    medians.forEach((ms, i) => {
      totals[i] += ms;
    });
    const cells = medians.flatMap((ms) => [ms.toFixed(1), (operations / ms / 1e6).toFixed(0)]);
    const name = `${layer.side}x${layer.side}, ${layer.ins} to ${layer.outs}`;
    console.log(name.padEnd(22), ...[...cells, (medians[0] / medians[2]).toFixed(2)].map((text) => text.padStart(8)));
  }
  const [forward, , filter] = totals;
  const cells = [...totals.flatMap((ms) => [ms.toFixed(0), '']), (forward / filter).toFixed(2)];
  console.log('all'.padEnd(22), ...cells.map((text) => text.padStart(8)));
}

/** The median times of the forward kernel and of both gradients behind a ReLU. */
function timeLayer(batch: number, { side, ins, outs }: Layer, rounds: number): number[] {
  return tf.tidy(() => {
    const x = tf.randomUniform([batch, side, side, ins], -1, 1, 'float32', 1);
    const filter = tf.randomUniform([3, 3, ins, outs], -1, 1, 'float32', 2);
    const dy = tf.randomUniform([batch, side, side, outs], -1, 1, 'float32', 3);
    const inputs: tf.NamedTensorMap[] = [
      { x, filter, bias: tf.zeros([outs]) },
      { dy, filter, y: dy },
      { x, dy, y: dy },
    ];
    const attributes = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1], activation: 'relu' };
    const shapes = { inputShape: x.shape, filterShape: filter.shape };
    const times: number[][] = inputs.map(() => []);
    for (let round = -1; round < rounds; round++) {
      KERNELS.forEach((name, i) => {
        const start = now();
        const result = tf.engine().runKernel(name, inputs[i], { ...attributes, ...shapes } as never);
        const ms = now() - start;
        tf.dispose(result);
        if (round >= 0) times[i].push(ms);
      });
    }
    return times.map(median);
  });
}

function tellStack({ threads }: ThreadPool, batch: number, rounds: number): void {
  tf.engine().startScope();
  const x = tf.randomUniform([batch, 224, 224, 3], -1, 1, 'float32', 1) as tf.Tensor4D;
  const weights = layers().flatMap(({ ins, outs }) => [
    tf.randomNormal([3, 3, ins, outs], 0, Math.sqrt(2 / (9 * ins)), 'float32', 2),
    tf.zeros([outs]),
  ]);
  const network = (): tf.Tensor => {
    let at = 0;
    let y = x;
    for (const block of BLOCKS) {
      for (const _ of block) y = conv2d(y, weights[at++] as tf.Tensor4D, weights[at++], { activation: 'relu' });
      y = pool(y, { pool: 'max', size: 2, stride: 2 });
    }
    return tf.mean(y);
  };
  const gradients = () => {
    const { value, grads } = chainGradients(network, weights);
    return [value, ...grads];
  };
  const runs = [() => [tf.tidy(network)], gradients];
  const totals: number[][] = [[], []];
  const spent = new Map<string, number[]>();
  for (let round = -1; round < rounds; round++) {
    runs.forEach((run, i) => {
      const stop = i === 1 && round >= 0 ? recordKernels(now) : undefined;
      const start = now();
      const results = run();
      const ms = now() - start;
      tf.dispose(results);
      if (round >= 0) totals[i].push(ms);
      for (const [name, time] of stop?.() ?? []) spent.set(name, [...(spent.get(name) ?? []), time]);
    });
  }
  tf.engine().endScope();
  const [forward, both] = totals.map(median);
  console.log(`\nthreads: ${threads}; the stack: forward ${forward.toFixed(0)} ms, forward and backward ${both.toFixed(0)} ms`);
  console.log(`  forward and backward / forward: ${(both / forward).toFixed(2)}`);
  let rest = both;
  for (const [name, times] of [...spent].sort((a, b) => median(b[1]) - median(a[1]))) {
    const ms = median(times);
    if (KERNELS.includes(name)) rest -= ms;
    console.log(`  ${name.padEnd(24)} ${ms.toFixed(1).padStart(8)} ms  ${((100 * ms) / both).toFixed(1).padStart(5)} %`);
  }
  console.log(`  ${'no convolution'.padEnd(24)} ${rest.toFixed(1).padStart(8)} ms  ${((100 * rest) / both).toFixed(1).padStart(5)} %`);
}
