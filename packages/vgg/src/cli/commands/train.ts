import { stat } from 'node:fs/promises';
import { openDataset } from '../../data/dataset.js';
import type { HistoryEntry } from '../../head/train/history.js';
import { TRAIN_DEFAULTS, trainHead } from '../../head/train/train-head.js';
import { command } from '../command.js';
import { EXIT, UsageError } from '../exit.js';
import { noting } from '../head-command.js';
import { layerOf, MODEL_FLAGS, openModel, POOL_FLAG, SIZE_FLAG } from '../open-model.js';
import { type Failure, failedText, warnOfSkipped } from '../pictures.js';
import { bytes, facts, percent, plural } from '../text.js';

export const train = command({
  name: 'train',
  about: 'trains a classifier (a head) on the features of photographs in class folders',
  args: 'DIR',
  details:
    'DIR has a folder of photographs for each class. Each picture goes through the network once, then the head is trained on the features in seconds. The linear head (the default) is fitted to its optimum by L-BFGS; --hidden and --solver adam take mini-batch steps and keep the best epoch.',
  least: 1,
  most: 1,
  flags: {
    ...MODEL_FLAGS,
    out: { type: 'string', short: 'o', value: 'HEAD', about: 'the head file to write, some KB' },
    layer: {
      type: 'string',
      value: 'L',
      about: 'the layer whose features are used',
      defaultText: 'the deepest pool that the weights reach',
    },
    pool: { ...POOL_FLAG, default: 'average' },
    size: SIZE_FLAG,
    val: {
      type: 'string',
      value: 'DIR|FRACTION',
      about: 'validation pictures, or the part of every class to set aside',
      defaultText: 'none',
    },
    epochs: {
      type: 'integer',
      value: 'N',
      least: 1,
      about: 'most steps (lbfgs) or passes (adam)',
      defaultText: `${TRAIN_DEFAULTS.epochs.lbfgs} and ${TRAIN_DEFAULTS.epochs.adam}`,
    },
    solver: { type: 'choice', choices: ['lbfgs', 'adam'], about: 'how the head is fitted', defaultText: 'lbfgs; adam with --hidden' },
    hidden: { type: 'integer', value: 'N', least: 1, most: 65536, about: 'units of a hidden layer', defaultText: 'none: a linear head' },
    lr: { type: 'number', value: 'RATE', about: 'adam: learning rate', default: TRAIN_DEFAULTS.learningRate },
    batch: { type: 'integer', value: 'N', least: 1, about: 'adam: pictures a step', default: TRAIN_DEFAULTS.batchSize },
  },
  examples: [
    ['vgg train photos/ --val 0.2 --out insects.head', 'features of the deepest pool, a fifth of the pictures for validation'],
    ['vgg train train/ --val val/ --weights vgg16.h5 --layer pool3 --size 128 --solver adam --seed 1 --out h.head', 'by mini-batch Adam'],
  ],
  async run([folder], values, context) {
    const { out, layer, pool, size, val, epochs, solver, hidden, lr, batch } = values;
    if (out === undefined) context.warn('without --out: the head is trained and measured, and not kept');
    const { options, signal, onProgress, warn } = context;
    const start = performance.now();
    const data = await openDataset(folder, { signal });
    const validation = val === undefined ? undefined : await validationOf(val, signal);
    const skipped = [...data.skipped, ...(typeof validation === 'object' ? validation.skipped : [])];
    warnOfSkipped(skipped, warn);
    const model = await openModel({ ...values, layers: layer === undefined ? undefined : [layer] }, context);
    try {
      const failed: Failure[] = [];
      const settings = {
        layer: layerOf(model, layer, context),
        pooling: pool,
        size,
        validation,
        epochs,
        solver,
        hidden,
        learningRate: lr,
        batchSize: batch,
        seed: options.seed,
      };
      const head = await trainHead(noting(model, failed), data, {
        ...settings,
        signal,
        onWarning: warn,
        onProgress: (progress) => progress.stage !== 'train' && onProgress(progress),
        onEpoch: (entry) =>
          onProgress({
            stage: 'train',
            loaded: entry.epoch,
            total: epochs ?? TRAIN_DEFAULTS.epochs[solver ?? (hidden ? 'adam' : 'lbfgs')],
            item: scores(entry),
          }),
      });
      if (out !== undefined) await head.save(out);
      const seconds = (performance.now() - start) / 1000;
      const { classes, history, best, info } = head;
      return {
        json: {
          classes,
          epochs: history,
          best,
          head: out ?? null,
          layer: head.layer,
          pooling: head.pooling,
          size: head.size,
          training: info.training,
          skipped,
          failed,
          seconds,
          backend: model.backend.name,
          weights: model.weightsName,
        },
        text: await report(out, seconds, failed, [
          ['classes', classes.join(', ')],
          ['features', `${head.layer} of ${model.weightsName}, pooling ${head.pooling}, ${plural(info.dimensions, 'value')} a picture`],
          ['trained on', `${plural(info.training.images, 'picture')}, ${info.training.solver}, ${plural(history.length, 'epoch')}`],
          ['kept', `epoch ${best.epoch}: ${scores(best)}`],
        ]),
        exit: failed.length > 0 ? EXIT.partial : EXIT.done,
      };
    } finally {
      model.dispose();
    }
  },
});

async function validationOf(val: string, signal: AbortSignal) {
  const fraction = Number(val);
  const isFolder = await stat(val).then(
    () => true,
    () => false,
  );
  if (isFolder || Number.isNaN(fraction)) return openDataset(val, { signal });
  if (fraction > 0 && fraction < 1) return fraction;
  throw new UsageError(`vgg train --val: expected a folder or a fraction between 0 and 1, received ${val}`);
}

function scores({ loss, accuracy, valLoss, valAccuracy }: HistoryEntry): string {
  const own = `loss ${loss.toFixed(4)}, accuracy ${percent(accuracy)}`;
  return valLoss === undefined || valAccuracy === undefined ? own : `${own}; validation ${valLoss.toFixed(4)}, ${percent(valAccuracy)}`;
}

async function report(
  out: string | undefined,
  seconds: number,
  failed: readonly Failure[],
  rows: [string, string][],
): Promise<() => string> {
  const size = out === undefined ? 0 : (await stat(out)).size;
  return () =>
    [
      facts([...rows, ['head', out === undefined ? 'not kept' : `${out}, ${bytes(size)}`], ['time', `${seconds.toFixed(1)} s`]]),
      ...(failed.length > 0 ? ['', failedText(failed)] : []),
    ].join('\n');
}
