import * as tf from '@tensorflow/tfjs-core';
import { describeEachBackend } from '@vgg/core/testing';
import { expect, it } from 'vitest';
import golden from '../../test/train/fixtures/torch.json';
import { random } from '../random.js';
import { makeOptimizer, type Optimizer, type OptimizerOptions, type ParameterGradient } from './optimizer.js';

/** Of values near 1 after five steps in float32. */
const TOLERANCE = 3e-6;

const SHAPES: Record<string, number[]> = golden.shapes;
type Values = Record<string, number[]>;

function variables(values: Values): Map<string, tf.Variable> {
  return new Map(
    Object.entries(values).map(([name, each]) => {
      const initial = tf.tensor(Float32Array.from(each), SHAPES[name]);
      const variable = tf.variable(initial);
      initial.dispose();
      return [name, variable];
    }),
  );
}

/** One step along these gradients. */
function take(optimizer: Optimizer, parameters: ReadonlyMap<string, tf.Variable>, gradients: Values, rate: number): void {
  const pairs = new Map<string, ParameterGradient>();
  for (const [name, value] of parameters)
    pairs.set(name, { value, gradient: tf.tensor(Float32Array.from(gradients[name]!), SHAPES[name]) });
  optimizer.step(pairs, rate);
  for (const { gradient } of pairs.values()) gradient.dispose();
}

const titled = golden.optimizers.map((each) => ({ ...each, title: JSON.stringify(each.options) }));

describeEachBackend('makeOptimizer', (backend) => {
  it.each(titled)('five steps are those of PyTorch: $title', async ({ options, rates, after }) => {
    const optimizer = makeOptimizer(options as OptimizerOptions);
    const parameters = backend().run(() => variables(golden.start));
    const objects = [...parameters.values()];
    for (const [step, expected] of after.entries()) {
      backend().run(() => take(optimizer, parameters, golden.gradients[step]!, rates[step]!));
      for (const [name, values] of Object.entries(expected)) {
        const actual = await backend().read(parameters.get(name)!);
        const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0);
        expect(actual.length).toBe(values.length);
        expect(actual.every(Number.isFinite)).toBe(true);
        expect(worst, `${name} after step ${step + 1}`).toBeLessThan(TOLERANCE);
      }
    }
    expect([...parameters.values()]).toEqual(objects);
    optimizer.dispose();
    for (const each of parameters.values()) each.dispose();
  });

  it.each<OptimizerOptions>([
    { algorithm: 'sgd', nesterov: true, weightDecay: 1e-3, clipNorm: 1 },
    { algorithm: 'sgd', momentum: 0 },
    { algorithm: 'adam', weightDecay: 1e-3 },
    { algorithm: 'adamw', clipNorm: 1 },
  ])('ten steps, stopped and restored after any of them, are the same to the bit: %j', async (options) => {
    const rng = random(7);
    const gradients = Array.from({ length: 10 }, () =>
      Object.fromEntries(
        Object.entries(SHAPES).map(([name, shape]) => [name, Array.from({ length: shape.reduce((a, b) => a * b) }, rng.normal)]),
      ),
    );
    const whole = backend().run(() => variables(golden.start));
    const uninterrupted = makeOptimizer(options);
    for (const each of gradients) backend().run(() => take(uninterrupted, whole, each, 0.1));
    const expected = await Promise.all([...whole.values()].map((each) => backend().read(each)));

    for (const stopped of [1, 4, 9]) {
      let parameters = backend().run(() => variables(golden.start));
      let optimizer = makeOptimizer(options);
      for (const each of gradients.slice(0, stopped)) backend().run(() => take(optimizer, parameters, each, 0.1));
      // Through plain numbers, as a file has them.
      const { steps, tensors } = optimizer.state();
      const saved = await Promise.all(
        [...tensors].map(async ([name, tensor]) => ({ name, shape: tensor.shape, values: await backend().read(tensor) })),
      );
      const kept = Object.fromEntries(
        await Promise.all([...parameters].map(async ([name, each]) => [name, [...(await backend().read(each))]])),
      );
      optimizer.dispose();
      for (const each of parameters.values()) each.dispose();

      parameters = backend().run(() => variables(kept as Values));
      optimizer = makeOptimizer(options);
      backend().run(() => {
        const read = new Map(saved.map(({ name, shape, values }) => [name, tf.tensor(values, shape)]));
        optimizer.restore({ steps: JSON.parse(JSON.stringify(steps)), tensors: read });
        for (const tensor of read.values()) tensor.dispose();
      });
      for (const each of gradients.slice(stopped)) backend().run(() => take(optimizer, parameters, each, 0.1));
      const actual = await Promise.all([...parameters.values()].map((each) => backend().read(each)));
      expect(actual).toEqual(expected);
      optimizer.dispose();
      for (const each of parameters.values()) each.dispose();
    }
    uninterrupted.dispose();
    for (const each of whole.values()) each.dispose();
  });

  it('finds the least of a bowl, with gradients of tfjs', async () => {
    const [value, target] = backend().run(() => {
      const initial = tf.zeros([3]);
      const variable = tf.variable(initial);
      initial.dispose();
      return [variable, tf.tensor([1, -2, 3])];
    });
    const optimizer = makeOptimizer({ algorithm: 'adam' });
    for (let i = 0; i < 200; i++) {
      backend().run(() => {
        // 0.5 (w - target)^2, whose slope needs no gradient of any operation
        const gradient = tf.sub(value!, target!);
        optimizer.step(new Map([['w', { value: value as tf.Variable, gradient }]]), 0.1);
        gradient.dispose();
      });
    }
    const found = await backend().read(value!);
    [1, -2, 3].forEach((each, i) => {
      expect(found[i]).toBeCloseTo(each, 2);
    });
    optimizer.dispose();
    for (const each of [value!, target!]) each.dispose();
  });

  it('the state of another algorithm is refused, and its own kept', async () => {
    const parameters = backend().run(() => variables(golden.start));
    const sgd = makeOptimizer();
    const adam = makeOptimizer({ algorithm: 'adam' });
    backend().run(() => {
      take(sgd, parameters, golden.gradients[0]!, 0.1);
      take(adam, parameters, golden.gradients[0]!, 0.1);
    });
    const { tensors, steps } = adam.state();
    expect(() => adam.restore(sgd.state())).toThrow(
      'optimizer: expected the state of adam (mean and square of each parameter), received velocity; is it that of another optimiser?',
    );
    expect(() => sgd.restore(adam.state())).toThrow('received mean, square');
    expect(() => adam.restore({ tensors, steps: { ...steps, 'fc.bias': 0 } })).toThrow('optimizer: expected the state of adam');
    expect(() => adam.restore({ tensors: new Map([...tensors].slice(1)), steps })).toThrow('optimizer: expected the state of adam');
    expect([...adam.state().tensors.keys()]).toEqual([...tensors.keys()]);
    expect(steps['fc.bias']).toBe(1);
    for (const each of [sgd, adam]) each.dispose();
    for (const each of parameters.values()) each.dispose();
  });
});

it.each([
  [{ momentum: 1 }, 'momentum'],
  [{ beta2: -0.1 }, 'beta2'],
  [{ weightDecay: Number.NaN }, 'weightDecay'],
  [{ algorithm: 'rmsprop' }, 'sgd or adam or adamw as algorithm'],
  [{ algorithm: 'adamw', decay: 'l2' }, 'decoupled with adamw'],
  [{ momentum: 0, nesterov: true }, 'momentum'],
  [{ clipNorm: 0 }, 'clipNorm'],
  [{ groups: [{ match: 'conv*', rate: -1 }] }, 'groups[0].rate'],
  [{ groups: [{ rate: 1 }] }, 'groups[0].match'],
  [{ learningRate: 0.1 }, 'received learningRate'],
])('%j is refused', (options, words) => {
  expect(() => makeOptimizer(options as OptimizerOptions)).toThrow(
    expect.objectContaining({ code: 'VGG_OPTION', message: expect.stringContaining(words) }),
  );
});
