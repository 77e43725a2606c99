import {
  fused,
  getKernel,
  ones,
  registerKernel,
  scalar,
  type Tensor,
  tensor,
  tidy,
  unregisterKernel,
  type Variable,
  variable,
} from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { describeEachBackend, noise } from '../../test/index.js';
import { openBackend } from '../backend.js';
import { ADAM_STEP, SGD_STEP } from '../kernels/names.js';

import { conv2d } from './conv2d.js';
import { adamStep, clipScale, sgdStep } from './optimizer-steps.js';

/** float32 values after a few steps, of numbers near 1. */
const TOLERANCE = 2e-6;
const STEPS = 5;

const made = (shape: number[], seed: number, scale = 1): Float32Array => Float32Array.from(noise(shape, seed, scale).data);
function variableOf(values: Float32Array, shape: number[] = [values.length]): Variable {
  const initial = tensor(values.slice(), shape);
  const result = variable(initial);
  initial.dispose();
  return result;
}

/** The formulae in float64. */
function referenceSgd(
  values: number[],
  gradients: Float32Array[],
  o: { rate: number; decay: number; shrink: number; momentum: number; nesterov: boolean },
): number[] {
  const velocity = values.map(() => 0);
  let w = values;
  for (const gradient of gradients) {
    w = w.map((value, i) => {
      const g = gradient[i]! + o.decay * value;
      velocity[i] = o.momentum * velocity[i]! + g;
      const direction = o.nesterov ? g + o.momentum * velocity[i]! : velocity[i]!;
      return value - o.rate * direction - o.shrink * value;
    });
  }
  return w;
}

function referenceAdam(
  values: number[],
  gradients: Float32Array[],
  o: { rate: number; decay: number; shrink: number; beta1: number; beta2: number; epsilon: number },
): number[] {
  const mean = values.map(() => 0);
  const squares = values.map(() => 0);
  let w = values;
  gradients.forEach((gradient, t) => {
    w = w.map((value, i) => {
      const g = gradient[i]! + o.decay * value;
      mean[i] = o.beta1 * mean[i]! + (1 - o.beta1) * g;
      squares[i] = o.beta2 * squares[i]! + (1 - o.beta2) * g * g;
      const m = mean[i]! / (1 - o.beta1 ** (t + 1));
      const s = squares[i]! / (1 - o.beta2 ** (t + 1));
      return value - (o.rate * m) / (Math.sqrt(s) + o.epsilon) - o.shrink * value;
    });
  });
  return w;
}

function expectClose(actual: Float32Array, expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0);
  expect(actual.every(Number.isFinite)).toBe(true);
  expect(worst).toBeLessThan(TOLERANCE);
}

describeEachBackend('steps of optimisers', (backend) => {
  /** Takes the steps with `step` on a fresh variable, and frees everything. */
  async function stepped(
    values: Float32Array,
    gradients: Float32Array[],
    step: (value: Variable, gradient: Tensor, t: number, kept: Variable[]) => void,
  ) {
    const [value, ...kept] = backend().run(() => [values, values.map(() => 0), values.map(() => 0)].map((each) => variableOf(each)));
    gradients.forEach((gradient, t) => {
      backend().run(() => {
        const g = tensor(gradient.slice());
        step(value!, g, t + 1, kept);
        g.dispose();
      });
    });
    const result = await backend().read(value!);
    for (const each of [value!, ...kept]) each.dispose();
    return result;
  }
  const gradientsOf = (count: number) => Array.from({ length: STEPS }, (_, t) => made([count], 10 + t));

  it.each([1, 3, 4, 7, 64, 1003])('SGD on %i values', async (count) => {
    const values = made([count], 1);
    const gradients = gradientsOf(count);
    for (const momentum of [0, 0.9]) {
      for (const nesterov of momentum > 0 ? [false, true] : [false]) {
        for (const [decay, shrink] of [
          [0, 0],
          [0.05, 0],
          [0, 0.02],
        ] as const) {
          const options = { rate: 0.1, decay, shrink, momentum, nesterov };
          const result = await stepped(values, gradients, (value, gradient, _, [velocity]) =>
            sgdStep({ value, gradient, ...(momentum > 0 && { velocity: velocity! }) }, options),
          );
          expectClose(result, referenceSgd([...values], gradients, options));
        }
      }
    }
  });

  it.each([1, 3, 4, 7, 64, 1003])('Adam on %i values', async (count) => {
    const values = made([count], 2);
    const gradients = gradientsOf(count);
    for (const [decay, shrink] of [
      [0, 0],
      [0.05, 0],
      [0, 0.02],
    ] as const) {
      const options = { rate: 0.05, decay, shrink, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
      const result = await stepped(values, gradients, (value, gradient, step, [mean, square]) =>
        adamStep({ value, gradient, mean: mean!, square: square! }, { ...options, step }),
      );
      expectClose(result, referenceAdam([...values], gradients, options));
    }
  });

  it('a scale multiplies the gradient', async () => {
    const values = made([9], 3);
    const gradient = made([9], 4);
    const factor = backend().run(() => scalar(0.25));
    const sgd = await stepped(values, [gradient], (value, g) => sgdStep({ value, gradient: g }, { rate: 1, scale: factor }));
    factor.dispose();
    expectClose(
      sgd,
      [...values].map((value, i) => value - 0.25 * gradient[i]!),
    );
  });

  it.each([
    [0.5, 1],
    [1e6, 1],
    [2, 70_001],
  ])('gradients are clipped to a norm of %d', async (norm, count) => {
    const [a, b] = [made([count], 5), made([3, 4], 6, 4)];
    const total = Math.hypot(Math.sqrt(a.reduce((sum, x) => sum + x * x, 0)), Math.sqrt(b.reduce((sum, x) => sum + x * x, 0)));
    const scale = backend().run(() => tidy(() => clipScale([tensor(a), tensor(b, [3, 4])], norm)));
    expect(scale.shape).toEqual([]);
    const [value] = await backend().read(scale);
    scale.dispose();
    expect(value! / Math.min(1, norm / (total + 1e-6))).toBeCloseTo(1, 5);
  });

  it('a gradient that is not a number is not hidden by clipping', async () => {
    const scale = backend().run(() => tidy(() => clipScale([tensor([1, Number.NaN, 2])], 1)));
    expect((await backend().read(scale))[0]).toBeNaN();
    scale.dispose();
  });

  it('what shares the memory of a parameter does not change with it', async () => {
    const values = made([40], 7);
    const initial = backend().run(() => tensor(values.slice()));
    const value = backend().run(() => variable(initial));
    const gradient = backend().run(() => ones([40]));
    backend().run(() => sgdStep({ value, gradient }, { rate: 1 }));
    const before = backend().run(() => value.clone());
    backend().run(() => sgdStep({ value, gradient }, { rate: 1 }));
    expect(await backend().read(initial)).toEqual(values);
    expectClose(
      await backend().read(before),
      [...values].map((x) => x - 1),
    );
    expectClose(
      await backend().read(value),
      [...values].map((x) => x - 2),
    );
    for (const each of [initial, before, value, gradient]) each.dispose();
  });

  it('wasm: the memory stays where it is, and nothing else is taken', async () => {
    const value = backend().run(() => variableOf(made([100], 8)));
    const gradient = backend().run(() => ones([100]));
    const { dataId } = value;
    const { tensors } = backend().memory();
    backend().run(() => sgdStep({ value, gradient }, { rate: 1 }));
    expect(backend().memory().tensors).toBe(tensors);
    const isInPlace = backend().name === 'wasm' && backend().info.build !== undefined;
    expect(value.dataId === dataId).toBe(isInPlace);
    for (const each of [value, gradient]) each.dispose();
  });

  // On wasm, transforms of filters are kept by their data: ours for 3x3 windows, XNNPACK's for those with padding of another size.
  it.each([
    ['3x3', 3, 9, 16],
    ['3x3, few channels', 3, 3, 8],
    ['5x5 with padding', 5, 4, 6],
  ])('a convolution sees the step: %s', async (_, window, ins, outs) => {
    const shape: [number, number, number, number] = [window, window, ins, outs];
    const count = shape.reduce((a, b) => a * b, 1);
    const [values, steps] = [made([count], 11), made([count], 12)];
    const filter = backend().run(() => variableOf(values, shape));
    const bias = backend().run(() => variableOf(new Float32Array(outs)));
    const x = backend().run(() => tensor(made([1, 12, 12, ins], 13), [1, 12, 12, ins]));
    const gradients = backend().run(() => [tensor(steps.slice(), shape), ones([outs])]);
    const run = (f: Tensor, b: Tensor) =>
      backend().run(() =>
        tidy(() =>
          window === 3
            ? conv2d(x as never, f as never, b as never)
            : fused.conv2d({ x: x as never, filter: f as never, bias: b as never, strides: 1, pad: 'same' }),
        ),
      );
    run(filter, bias).dispose();
    backend().run(() => {
      sgdStep({ value: filter, gradient: gradients[0]! }, { rate: 1 });
      sgdStep({ value: bias, gradient: gradients[1]! }, { rate: 1 });
    });
    const fresh = backend().run(() => [
      tensor(
        values.map((value, i) => Math.fround(value - steps[i]!)),
        shape,
      ),
      tensor(new Float32Array(outs).fill(-1)),
    ]);
    const [actual, expected] = [run(filter, bias), run(fresh[0]!, fresh[1]!)];
    const [a, e] = [await backend().read(actual), await backend().read(expected)];
    expect(a).toEqual(e);
    for (const each of [filter, bias, x, ...gradients, ...fresh, actual, expected]) each.dispose();
  });

  it('shapes that differ are refused', () => {
    const value = backend().run(() => variableOf(made([4], 14)));
    const gradient = backend().run(() => ones([5]));
    expect(() => backend().run(() => sgdStep({ value, gradient }, { rate: 1 }))).toThrow(
      "sgdStep: expected a gradient of the value's shape, float32 [4], received float32 [5]",
    );
    for (const each of [value, gradient]) each.dispose();
  });
});

it('wasm: steps are the same to the bit on one thread and on several', async () => {
  const count = 300_007;
  const results: Float32Array[][] = [];
  for (const threads of [1, 3]) {
    const backend = await openBackend('wasm', { threads });
    const variables = backend.run(() => [1, 2].map((seed) => variableOf(made([count], seed))));
    const kept = backend.run(() => [0, 0, 0].map(() => variableOf(new Float32Array(count))));
    const gradient = backend.run(() => tensor(made([count], 3)));
    const scale = backend.run(() => clipScale([gradient], 1));
    for (let step = 1; step <= 2; step++) {
      backend.run(() => {
        const common = { rate: 0.1, decay: 0.01, scale };
        sgdStep({ value: variables[0]!, gradient, velocity: kept[0]! }, { ...common, momentum: 0.9, nesterov: true });
        adamStep(
          { value: variables[1]!, gradient, mean: kept[1]!, square: kept[2]! },
          { ...common, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step },
        );
      });
    }
    results.push(await Promise.all([...variables, ...kept, scale].map((each) => backend.read(each))));
    for (const each of [...variables, ...kept, gradient, scale]) each.dispose();
  }
  const [alone, shared] = results;
  alone!.forEach((values, i) => {
    // Bits, since -0 is to be told from 0.
    const [one, several] = [new Uint32Array(values.buffer), new Uint32Array(shared![i]!.buffer)];
    expect(
      one.findIndex((bits, k) => bits !== several[k]),
      `array ${i}`,
    ).toBe(-1);
  });
  expect(alone![0]!.every(Number.isFinite)).toBe(true);
});

it('wasm: without our kernels, as where there is no SIMD, steps have the same bits', async () => {
  const backend = await openBackend('wasm');
  const count = 1003;
  const run = async () => {
    const variables = backend.run(() => [1, 2].map((seed) => variableOf(made([count], seed))));
    const kept = backend.run(() => [0, 0, 0].map(() => variableOf(new Float32Array(count))));
    const factor = backend.run(() => scalar(0.3));
    for (let step = 1; step <= 4; step++) {
      backend.run(() => {
        const gradient = tensor(made([count], 20 + step));
        const common = { rate: 0.1, decay: 0.01, shrink: 0.003, scale: factor };
        sgdStep({ value: variables[0]!, gradient, velocity: kept[0]! }, { ...common, momentum: 0.9, nesterov: true });
        adamStep(
          { value: variables[1]!, gradient, mean: kept[1]!, square: kept[2]! },
          { ...common, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step },
        );
        gradient.dispose();
      });
    }
    const results = await Promise.all([...variables, ...kept].map((each) => backend.read(each)));
    for (const each of [...variables, ...kept, factor]) each.dispose();
    return results;
  };
  const inPlace = await run();
  const ours = [SGD_STEP, ADAM_STEP].map((name) => getKernel(name, 'wasm'));
  for (const { kernelName } of ours) unregisterKernel(kernelName, 'wasm');
  try {
    expect(await run()).toEqual(inPlace);
  } finally {
    ours.forEach(registerKernel);
  }
});
