import { VggError } from '@vgg/errors';
import { random } from '../../random.js';
import { type AdamOptions, adam } from './adam.js';
import type { HistoryEntry } from './history.js';
import { addGradients, copyNet, createNet, forward, type Net, parameterCount, workspaceFor } from './net.js';
import { CHUNK, type Pace } from './pace.js';
import type { LabelledRows, Rows } from './rows.js';
import { type Scored, softmaxInPlace } from './softmax.js';
import { type Standard, standardizeInto } from './standardize.js';
import { continueFrom, type Start } from './start.js';

export interface MinibatchOptions extends AdamOptions {
  /** Units of the hidden layers; none for the linear head. */
  hidden: readonly number[];
  /** Part of the hidden units dropped at each step. */
  dropout: number;
  epochs: number;
  batchSize: number;
  /** Epochs without a lower validation loss after which training stops. */
  patience: number;
  seed: number;
  /** A head to go on from, of the same hidden layers. */
  start?: Start;
  onEpoch?: (entry: HistoryEntry) => void | Promise<void>;
}

export interface Trained {
  readonly net: Net;
  readonly history: HistoryEntry[];
  /** The entry whose parameters were kept. */
  readonly best: HistoryEntry;
}

/**
 * Trains by mini-batch Adam. The parameters with the lowest validation loss are kept (without validation: the last); the seed decides the
 * initial weights, the order of the examples and the dropout, and two runs with it are equal bit for bit.
 *
 * @throws VggError `VGG_HEAD` once a loss is not a number
 */
export async function trainMinibatch(
  train: LabelledRows,
  validation: LabelledRows | undefined,
  standard: Standard,
  classes: number,
  options: MinibatchOptions,
  pace: Pace,
): Promise<Trained> {
  const { batchSize, epochs, patience, seed } = options;
  const rng = random(seed);
  const net = createNet([train.dimensions, ...options.hidden, classes], rng, new Float32Array(0));
  if (options.start) continueFrom(options.start, standard, net);
  const dropout = options.dropout > 0 ? { rate: options.dropout, random: rng } : undefined;
  // A batch is computed in chunks, so that large layers leave room for the event loop.
  const chunk = Math.max(4, Math.min(batchSize, Math.floor((4 * CHUNK) / parameterCount(net)) & ~3));
  const work = workspaceFor(net, chunk);
  const step = adam(net, work, options, pace);
  const x = new Float32Array(chunk * train.dimensions);
  const labels = new Int32Array(chunk);
  const order = Int32Array.from({ length: train.count }, (_, i) => i);

  const history: HistoryEntry[] = [];
  let best: HistoryEntry | undefined;
  let kept: Net | undefined;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    rng.shuffle(order);
    for (let from = 0; from < train.count; from += batchSize) {
      const end = Math.min(train.count, from + batchSize);
      for (let at = from; at < end; at += chunk) {
        const rows = Math.min(chunk, end - at);
        for (let i = 0; i < rows; i++) {
          const example = order[at + i]!;
          standardizeInto(train, standard, example, 1, x.subarray(i * train.dimensions, (i + 1) * train.dimensions));
          labels[i] = train.labels[example]!;
        }
        addGradients(net, x, labels, rows, work, dropout);
        await pace();
      }
      await step(end - from);
    }
    const entry = entryOf(
      epoch,
      await scoreNet(net, standard, train, pace),
      train.count,
      validation && (await scoreNet(net, standard, validation, pace)),
      validation?.count,
    );
    if (!Number.isFinite(entry.loss) || (entry.valLoss !== undefined && !Number.isFinite(entry.valLoss))) {
      throw new VggError(
        'VGG_HEAD',
        `trainHead: expected a finite loss, received ${entry.loss} after epoch ${epoch}; use a learning rate below ${options.learningRate}`,
      );
    }
    history.push(entry);
    if (best?.valLoss === undefined || entry.valLoss === undefined || entry.valLoss < best.valLoss) {
      best = entry;
      kept = validation && copyNet(net);
    }
    await options.onEpoch?.(entry);
    await pace();
    if (validation && epoch - best.epoch >= patience) break;
  }
  return { net: kept ?? net, history, best: best! };
}

/** The entry of sums over the training and the validation examples. */
export function entryOf(epoch: number, train: Scored, count: number, validation?: Scored, validationCount = 0): HistoryEntry {
  const entry = { epoch, loss: train.loss / count, accuracy: train.correct / count };
  return validation ? { ...entry, valLoss: validation.loss / validationCount, valAccuracy: validation.correct / validationCount } : entry;
}

/** Logits [rows, classes] of rows `from` and on. */
export function logitsOf(net: Net, standard: Standard, rows: Rows, from: number, count: number): Float32Array {
  const x = new Float32Array(count * rows.dimensions);
  standardizeInto(rows, standard, from, count, x);
  const outputs = net.map((layer) => new Float32Array(count * layer.outputs));
  return forward(net, x, count, outputs);
}

/** Probabilities [rows, classes] of rows `from` and on. */
export function probabilitiesOf(net: Net, standard: Standard, rows: Rows, from: number, count: number, labels?: ArrayLike<number>) {
  const probabilities = logitsOf(net, standard, rows, from, count);
  return { probabilities, ...softmaxInPlace(probabilities, count, net.at(-1)!.outputs, labels, from) };
}

/** Cross-entropy and hits of a net on all rows, as prediction computes them. */
async function scoreNet(net: Net, standard: Standard, rows: LabelledRows, pace: Pace): Promise<Scored> {
  const step = Math.max(4, Math.floor((2 * CHUNK) / parameterCount(net)) & ~3);
  const total = { loss: 0, correct: 0 };
  for (let from = 0; from < rows.count; from += step) {
    const { loss, correct } = probabilitiesOf(net, standard, rows, from, Math.min(step, rows.count - from), rows.labels);
    total.loss += loss;
    total.correct += correct;
    await pace();
  }
  return total;
}
