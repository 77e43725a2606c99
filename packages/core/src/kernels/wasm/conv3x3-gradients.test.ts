import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installConv3x3 } from './conv3x3.js';
import { filterGradient } from './filter-gradient.js';
import { instantiate } from './instantiate.js';

describe('quick', () => {
  beforeAll(async () => {
    const { runtime } = await instantiate({ simd: true, shared: true });
    if (tf.findBackendFactory('wasm')) tf.removeBackend('wasm');
    tf.registerBackend('wasm', () => runtime.backend, 2);
    await tf.setBackend('wasm');
    const stock = tf.getKernel('Conv2DBackpropInput', 'wasm');
    tf.registerKernel({ ...stock, kernelName: 'Stock' });
    const conv = await installConv3x3(runtime, {});
    for (const mode of ['fast', 'balanced', 'small'] as const)
      modes[mode] = () => {
        conv.mode = mode;
      };
  });
  const modes: Record<string, () => void> = {};
  afterAll(() => tf.removeBackend('wasm'));
  it('dw', () => {
    for (const [n, h, w, c, k, pad] of [
      [2, 7, 9, 5, 6, 'same'],
      [1, 14, 14, 64, 64, 'same'],
      [1, 9, 12, 3, 3, 'valid'],
      [1, 3, 3, 1, 20, 'valid'],
      [2, 5, 7, 130, 70, 'same'],
      [4, 56, 56, 66, 60, 'valid'],
      [1, 112, 112, 3, 64, 'same'],
    ] as const) {
      const o = pad === 'valid' ? 2 : 0;
      const dy = tf.randomNormal([n, h - o, w - o, k]);
      const y = tf.randomNormal([n, h - o, w - o, k]);
      const x = tf.randomNormal([n, h, w, c]);
      const attrs = { strides: [1, 1], pad, dataFormat: 'NHWC', filterShape: [3, 3, c, k] };
      for (const m of [false, true]) {
        const a = tf.engine().runKernel('VggConv2dFilterGradient', m ? { dy, x, y } : { dy, x }, attrs) as tf.Tensor;
        const b = filterGradient(x, m ? tf.mul(dy, tf.step(y)) : dy, [3, 3, c, k], {
          top: pad === 'same' ? 1 : 0,
          left: pad === 'same' ? 1 : 0,
          strides: [1, 1],
        });
        console.log(n, h, w, c, k, pad, m, tf.max(tf.abs(tf.sub(a, b))).dataSync()[0] / tf.max(tf.abs(b)).dataSync()[0]);
        expect(tf.max(tf.abs(tf.sub(a, b))).dataSync()[0] / tf.max(tf.abs(b)).dataSync()[0]).toBeLessThan(3e-5);
      }
    }
  });
  it.each(['fast', 'balanced', 'small'])('dx %s', (mode) => {
    modes[mode]();
    for (const [n, h, w, c, k, pad] of [
      [2, 7, 9, 5, 6, 'same'],
      [1, 14, 14, 64, 64, 'same'],
      [1, 9, 12, 3, 3, 'valid'],
      [1, 3, 3, 1, 20, 'valid'],
      [2, 5, 7, 400, 400, 'same'],
      [1, 6, 6, 399, 390, 'valid'],
    ] as const) {
      const o = pad === 'valid' ? 2 : 0;
      const dy = tf.randomNormal([n, h - o, w - o, k]);
      const y = tf.randomNormal([n, h - o, w - o, k]);
      const filter = tf.randomNormal([3, 3, c, k]);
      const attrs = { strides: [1, 1], pad, dataFormat: 'NHWC', inputShape: [n, h, w, c] };
      for (const m of [false, true]) {
        const a = tf.engine().runKernel('Conv2DBackpropInput', m ? { dy, filter, y } : { dy, filter }, attrs) as tf.Tensor;
        const b = tf.engine().runKernel('Stock', { dy: m ? tf.mul(dy, tf.step(y)) : dy, filter }, attrs) as tf.Tensor;
        expect(tf.max(tf.abs(tf.sub(a, b))).dataSync()[0] / tf.max(tf.abs(b)).dataSync()[0]).toBeLessThan(3e-5);
      }
    }
  });
});
