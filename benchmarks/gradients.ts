import * as tf from '@tensorflow/tfjs-core';
import { FILTER_GRADIENT, INPUT_GRADIENT } from '../packages/core/src/kernels/names.js';
import { installConv3x3 } from '../packages/core/src/kernels/wasm/conv3x3.js';
import type { Conv3x3Build } from '../packages/core/src/kernels/wasm/conv3x3-module.js';
import { instantiate } from '../packages/core/src/kernels/wasm/instantiate.js';
import { ThreadPool } from '../packages/core/src/kernels/wasm/threads/pool.js';
import { median } from './support/median.js';
import { BLOCKS } from './support/vgg16.js';

const kernel = (name: string, inputs: Record<string, tf.Tensor>, attributes: object) =>
  tf.engine().runKernel(name, inputs, { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', ...attributes } as never) as tf.Tensor;

/**
 * The gradients of VGG-16's convolutions against the forward kernel, layer by layer, in interleaved rounds:
 * node benchmarks/run.mjs gradients [rounds] [batch] [threads] [fixed|relaxed|auto]
 */
export async function main([rounds = '5', batch = '4', threads = '2', build = 'auto']: string[]): Promise<void> {
  const { runtime } = await instantiate({ simd: true, shared: true });
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', () => runtime.backend, 2);
  await tf.setBackend('wasm');
  const pool = new ThreadPool(runtime);
  const conv = await installConv3x3(runtime, build === 'auto' ? { pool } : { build: build as Conv3x3Build, pool });
  await pool.grow(Number(threads));
  console.log(`node ${process.version}, build ${conv.build}, batch ${batch}, ${pool.threads} threads, median of ${rounds} rounds`);
  const totals = [0, 0, 0];
  let [side, ins] = [224, 3];
  for (const block of BLOCKS) {
    for (const outs of block) {
      const medians = layer(Number(batch), side, ins, outs, Number(rounds));
      const operations = 2 * Number(batch) * side ** 2 * 9 * ins * outs;
      medians.forEach((ms, i) => {
        totals[i] += ms;
      });
      const name = `${side}x${side}, ${ins} to ${outs}`.padEnd(22);
      console.log(
        name,
        ...medians.map((ms) => `${ms.toFixed(1).padStart(8)} ms ${(operations / ms / 1e6).toFixed(0).padStart(4)} GFLOP/s`),
        (medians[2] / medians[0]).toFixed(2),
      );
      ins = outs;
    }
    side /= 2;
  }
  console.log('all'.padEnd(22), ...totals.map((ms) => `${ms.toFixed(1).padStart(8)} ms`));
  pool.close();
}

function layer(batch: number, side: number, ins: number, outs: number, rounds: number): number[] {
  return tf.tidy(() => {
    const x = tf.randomUniform([batch, side, side, ins], -1, 1, 'float32', 1);
    const filter = tf.randomUniform([3, 3, ins, outs], -1, 1, 'float32', 2);
    const dy = tf.randomUniform([batch, side, side, outs], -1, 1, 'float32', 3);
    const calls = [
      () => kernel('FusedConv2D', { x, filter }, { activation: 'relu', dilations: [1, 1] }),
      () => kernel(INPUT_GRADIENT, { dy, filter, y: dy }, { inputShape: x.shape }),
      () => kernel(FILTER_GRADIENT, { x, dy, y: dy }, { filterShape: filter.shape }),
    ];
    const times: number[][] = calls.map(() => []);
    for (let round = -1; round < rounds; round++) {
      calls.forEach((call, i) => {
        const start = performance.now();
        call().dispose();
        if (round >= 0) times[i].push(performance.now() - start);
      });
    }
    return times.map(median);
  });
}
