import { mul, sum, type Tensor, tensor, tidy, valueAndGrads } from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { type Backend, registerGradients } from '../src/index.js';
import { maximumDifference, type Result, type Volume } from '../src/kernels/reference.js';
import { STEP, TOLERANCE } from './tolerance.js';

/** An operation, its definition, and what to try it on. */
export interface OpCase {
  inputs: Volume[];
  op(...tensors: Tensor[]): Tensor;
  reference(...volumes: Volume[]): Result;
  /** False for inputs at a corner of the function, where differences say nothing. */
  differences?: boolean;
}

const SAMPLES = 24;

registerGradients();

/** Values between -scale and scale that look random and are the same everywhere. */
export function noise(shape: number[], seed: number, scale = 1): Volume {
  let state = (seed * 2654435761) >>> 0 || 1;
  const length = shape.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * scale;
  });
  return { data, shape };
}

/** Forward against the reference; the gradient of `sum(y . weights)` against central differences of the reference. */
export async function checkOp(backend: Backend, { inputs, op, reference, differences = true }: OpCase): Promise<void> {
  const expected = reference(...inputs);
  const weights = noise(expected.shape, 99);
  const { value, grads } = backend.run(() => {
    const tensors = inputs.map(({ data, shape }) => tensor(Float32Array.from(data), [...shape]));
    const plain = tidy(() => op(...tensors));
    expect(plain.shape).toEqual(expected.shape);
    const factor = tensor(Float32Array.from(weights.data), expected.shape);
    const result = valueAndGrads((...xs: Tensor[]) => sum(mul(op(...xs), factor)))(tensors);
    for (const used of [...tensors, factor, result.value]) used.dispose();
    return { value: plain, grads: result.grads };
  });
  const forward = await backend.read(value);
  const gradients = await Promise.all(grads.map((gradient) => backend.read(gradient)));
  for (const used of [value, ...grads]) used.dispose();
  expect(maximumDifference(forward, expected.data), 'forward').toBeLessThan(TOLERANCE);
  if (!differences) return;
  gradients.forEach((gradient, which) => {
    const at = sampled(inputs[which].data.length);
    const central = at.map((i) => difference(inputs, which, i, reference, weights.data));
    const scale = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
    const error = Math.max(...at.map((i, k) => Math.abs(gradient[i] - central[k]))) / scale;
    expect(error, `gradient of input ${which}`).toBeLessThan(TOLERANCE);
  });
}

/** About SAMPLES places, first and last among them. */
function sampled(length: number): number[] {
  const count = Math.min(length, SAMPLES);
  return Array.from({ length: count }, (_, i) => (count === 1 ? 0 : Math.round((i * (length - 1)) / (count - 1))));
}

function difference(inputs: Volume[], which: number, i: number, reference: OpCase['reference'], weights: ArrayLike<number>): number {
  const objective = (delta: number) => {
    const moved = Float64Array.from(inputs[which].data);
    moved[i] += delta;
    const { data } = reference(...inputs.map((input, k) => (k === which ? { data: moved, shape: input.shape } : input)));
    return data.reduce((total, value, k) => total + value * weights[k], 0);
  };
  return (objective(STEP) - objective(-STEP)) / (2 * STEP);
}
