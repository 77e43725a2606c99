import type { NamedValues } from '@vgg/loaders';
import { isPatch } from '../../src/io/io.js';
import { network } from '../../src/network/architecture.js';
import { random } from '../../src/random.js';
import { type CheckpointState, checkpointFile } from '../../src/train/checkpoint.js';
import { SMALL_PLAN, smallWeights } from '../small-weights.js';

const NETWORK = network({ ...SMALL_PLAN, batchNorm: true });

/** A run of a small network as it stands after so many epochs and steps; the weights differ from epoch to epoch. */
export function stateAfter(epoch: number, step = 0): CheckpointState {
  const weights: NamedValues[] = [...smallWeights(NETWORK, epoch + 1)].map(([name, { shape, values }]) => ({
    name,
    shape,
    values: async () => values,
  }));
  const rng = random(epoch);
  rng.normal();
  const history = Array.from({ length: epoch }, (_, i) => ({
    epoch: i + 1,
    step: (i + 1) * 10,
    rate: 0.1 / (i + 1),
    loss: 1 / 3 / (i + 1),
    accuracy: 1 - 0.5 ** i,
    valLoss: 0.7 ** i,
    valAccuracy: i / (i + 1),
    seconds: 12.5,
  }));
  return {
    network: NETWORK,
    run: {
      options: { batchSize: 32, optimizer: { algorithm: 'adam', groups: [{ match: 'conv*', rate: 0.1 }] }, augment: null },
      epoch,
      step,
      steps: epoch * 10 + step,
      sums: { loss: 1.5, correct: 3, count: 7, seconds: 0.25 },
      portion: 32,
      seed: 2 ** 40 + 3,
      random: { dropout: rng.state(), augment: random(9).state() },
      optimizerSteps: { 'fc6.weight': epoch * 10 + step },
      schedule: { best: 0.5, waited: 1, drops: 2, finished: false },
      earlyStop: { best: 0.5, epoch: 1, waited: 0 },
      history,
      ...(history.length > 0 && { best: history[0]! }),
    },
    weights,
    optimizer: ['mean', 'square'].flatMap((kind) =>
      weights
        .slice(0, 3)
        .map(({ name, shape, values }) => ({ name: `${kind}.${name}`, shape, values: async () => (await values()).map((x) => x * x) })),
    ),
    about: { 'vgg.classes': JSON.stringify(['a', 'b', 'c', 'd', 'e']) },
  };
}

/** The whole file, its patches put in. */
export async function bytesOfCheckpoint(state: CheckpointState): Promise<Uint8Array> {
  let bytes = new Uint8Array(0);
  for await (const chunk of checkpointFile('checkpoint', state).chunks()) {
    if (isPatch(chunk)) bytes.set(chunk.bytes, chunk.at);
    else {
      const longer = new Uint8Array(bytes.length + chunk.length);
      longer.set(bytes);
      longer.set(chunk, bytes.length);
      bytes = longer;
    }
  }
  return bytes;
}
