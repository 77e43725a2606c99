import * as tf from '@tensorflow/tfjs-core';
import type { Backend } from '@vgg/core';
import { describeEachBackend } from '@vgg/core/testing';
import { expect, it } from 'vitest';
import { bytesOfCheckpoint, stateAfter } from '../../test/train/checkpoints.js';
import { type Random, random, restoreRandom } from '../random.js';
import { BestWeights } from './best-weights.js';
import { readCheckpoint } from './checkpoint.js';
import { namedValues, readTensors } from './checkpoint-tensors.js';
import { makeOptimizer, type Optimizer } from './optimizer.js';
import { makeSchedule, type Schedule } from './schedule.js';

const SHAPES: Record<string, number[]> = { 'fc.weight': [6, 3], 'fc.bias': [3] };
const STEPS = 10;
const STEPS_PER_EPOCH = 5;
const OPTIMIZER = { algorithm: 'adam', weightDecay: 1e-3, clipNorm: 2, groups: [{ match: '*.bias', rate: 2 }] } as const;
const SCHEDULE = { kind: 'plateau', patience: 0 } as const;

/** A toy of a run: a linear layer drawn to targets, on examples that are drawn anew at each step. */
interface Toy {
  variables: Map<string, tf.Variable>;
  optimizer: Optimizer;
  schedule: Schedule;
  random: Random;
  step: number;
}

function begin(backend: Backend): Toy {
  const rng = random(3);
  const variables = backend.run(() => {
    const tensors = Object.entries(SHAPES).map(([name, shape]) => [name, tf.tensor(draw(rng, shape), shape)] as const);
    return own(new Map(tensors));
  });
  return { variables, optimizer: makeOptimizer(OPTIMIZER), schedule: makeSchedule(SCHEDULE, 0.1), random: rng, step: 0 };
}

const draw = (rng: Random, shape: readonly number[]) =>
  Float32Array.from(
    { length: shape.reduce((a, b) => a * b, 1) },
    // Of uniform numbers, which are the same in every engine.
    () => rng.uniform() * 2 - 1,
  );

/** Variables of the tensors' values; the tensors are disposed of. */
function own(tensors: ReadonlyMap<string, tf.Tensor>): Map<string, tf.Variable> {
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const variable = tf.variable(tensor);
      tensor.dispose();
      return [name, variable];
    }),
  );
}

/** The slope of half the squared distance of x W + b to a target. */
function take(toy: Toy, backend: Backend): void {
  backend.run(() => {
    const rate = toy.schedule.rate({
      epoch: Math.floor(toy.step / STEPS_PER_EPOCH),
      step: toy.step % STEPS_PER_EPOCH,
      stepsPerEpoch: STEPS_PER_EPOCH,
    });
    const [weight, bias] = [toy.variables.get('fc.weight')!, toy.variables.get('fc.bias')!];
    const gradients = tf.tidy(() => {
      const x = tf.tensor2d(draw(toy.random, [4, 6]), [4, 6]);
      const target = tf.tensor2d(draw(toy.random, [4, 3]), [4, 3]);
      const error = tf.sub(tf.add(tf.matMul(x, weight as unknown as tf.Tensor2D), bias), target) as tf.Tensor2D;
      return { weight: tf.matMul(tf.transpose(x), error), bias: tf.sum(error, 0) };
    });
    toy.optimizer.step(
      new Map([
        ['fc.weight', { value: weight, gradient: gradients.weight }],
        ['fc.bias', { value: bias, gradient: gradients.bias }],
      ]),
      rate,
    );
    tf.dispose(gradients);
  });
  toy.step++;
  // Worse and worse: the plateau drops.
  if (toy.step % STEPS_PER_EPOCH === 0) toy.schedule.observe(1 / toy.step);
}

function end(toy: Toy): void {
  toy.optimizer.dispose();
  for (const variable of toy.variables.values()) variable.dispose();
}

async function save(toy: Toy, backend: Backend): Promise<Uint8Array> {
  const { steps, tensors } = toy.optimizer.state();
  const { run, network } = stateAfter(0);
  const place = { epoch: Math.floor(toy.step / STEPS_PER_EPOCH), step: toy.step % STEPS_PER_EPOCH };
  return bytesOfCheckpoint({
    network,
    run: { ...run, ...place, random: { examples: toy.random.state() }, optimizerSteps: steps, schedule: toy.schedule.state() },
    weights: namedValues(toy.variables, backend),
    optimizer: namedValues(tensors, backend),
  });
}

async function resume(bytes: Uint8Array, backend: Backend): Promise<Toy> {
  const checkpoint = await readCheckpoint(bytes);
  const { run } = checkpoint;
  const weights = await readTensors(checkpoint.weights, checkpoint.readWeight, backend);
  const kept = await readTensors(checkpoint.optimizer, checkpoint.readOptimizer, backend);
  await checkpoint.close();
  return backend.run(() => {
    const optimizer = makeOptimizer(OPTIMIZER);
    optimizer.restore({ steps: run.optimizerSteps, tensors: kept });
    for (const tensor of kept.values()) tensor.dispose();
    const schedule = makeSchedule(SCHEDULE, 0.1, run.schedule);
    const step = run.epoch * STEPS_PER_EPOCH + run.step;
    return { variables: own(weights), optimizer, schedule, random: restoreRandom(run.random.examples!), step };
  });
}

describeEachBackend('a run', (backend) => {
  const valuesOf = (toy: Toy) => Promise.all([...toy.variables.values()].map((each) => backend().read(each)));

  it('resumed from the checkpoint of any step is the uninterrupted one, to the bit', async () => {
    const whole = begin(backend());
    const checkpoints: Uint8Array[] = [];
    while (whole.step < STEPS) {
      checkpoints.push(await save(whole, backend()));
      take(whole, backend());
    }
    const expected = await valuesOf(whole);
    const last = await save(whole, backend());
    expect(whole.schedule.state().drops).toBe(1);
    for (const bytes of checkpoints) {
      const resumed = await resume(bytes, backend());
      while (resumed.step < STEPS) take(resumed, backend());
      expect(await valuesOf(resumed)).toEqual(expected);
      expect(await save(resumed, backend())).toEqual(last);
      end(resumed);
    }
    end(whole);
  });

  it('has its best weights again, after steps that went on from them', async () => {
    const toy = begin(backend());
    const best = new BestWeights(toy.variables, backend());
    take(toy, backend());
    await best.keep();
    take(toy, backend());
    await best.keep();
    const expected = await valuesOf(toy);
    for (let i = 0; i < 3; i++) take(toy, backend());
    expect(await valuesOf(toy)).not.toEqual(expected);
    best.restore();
    expect(await valuesOf(toy)).toEqual(expected);
    // Restored weights go on being trained, and what is kept stays.
    take(toy, backend());
    expect(await valuesOf(toy)).not.toEqual(expected);
    best.restore();
    expect(await valuesOf(toy)).toEqual(expected);
    end(toy);
  });
});
