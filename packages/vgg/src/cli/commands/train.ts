import { stat } from 'node:fs/promises';
import { type DatasetOptions, openDataset } from '../../data/dataset.js';
import { type Head, loadHead } from '../../head/head.js';
import { extendHead } from '../../head/train/extend-head.js';
import { DISTANCES } from '../../head/train/knn.js';
import { entryUnit, targetKind } from '../../head/train/settings.js';
import { SOLVERS, type Solver, TRAIN_DEFAULTS, type TrainHeadOptions, trainHead } from '../../head/train/train-head.js';
import type { Model } from '../../model.js';
import { trainingCurves } from '../../report/curves.js';
import { type TrainingRun, trainingReport } from '../../report/training-report.js';
import { RUN_DEFAULTS } from '../../train/run.js';
import { type Context, command } from '../command.js';
import { EXIT, UsageError } from '../exit.js';
import { type HeadOptions, noting, openHead } from '../head-command.js';
import { layerOf, MODEL_FLAGS, openModel, POOL_FLAG, SIZE_FLAG } from '../open-model.js';
import { type Failure, failedText, warnOfSkipped } from '../pictures.js';
import { checkWritable, checkWritableFolder, versionsOf, writeText } from '../report-file.js';
import { scores } from '../scores.js';
import { bytes, facts, plural } from '../text.js';
import { checkTrainFlags } from '../train-flags.js';
import { NETWORK_FLAGS, trainNetworkCommand } from '../train-network.js';

export const train = command({
  name: 'train',
  about: 'trains a classifier on photographs in classes: a head on features, or a network',
  args: 'DATASET',
  details:
    'DATASET has a folder of photographs for each class, or is a zip archive of such folders, a CIFAR .bin, a TFRecord file or a list. Each picture goes through the network once, then a head is trained on the features in seconds. The linear head (the default) is fitted to its optimum by L-BFGS; --hidden and --solver adam take mini-batch steps and keep the best epoch; svm, ridge and nearest-mean are linear too, and knn lets the nearest examples vote. multi-label and regression take a list whose classes are labels (sea;sunset) or numbers. With --keep the head file has the features of its pictures as well; --extend then adds classes and examples to it without those pictures (to a nearest-mean head even without --keep). With --unfreeze the layers from there on learn as well, behind a linear head to begin with, or with --top pretrained under dense layers that are there, and the result is a network; with --from-scratch all of a new one. Networks are weight files, for every command.',
  least: 1,
  most: 1,
  flags: {
    ...MODEL_FLAGS,
    out: { type: 'string', short: 'o', value: 'FILE', about: 'the file to write: of a head some KB, of a network its weights' },
    layer: {
      type: 'string',
      value: 'L',
      about: 'the layer whose features are used',
      defaultText: 'the deepest pool that the weights reach',
    },
    pool: { ...POOL_FLAG, default: 'average' },
    size: SIZE_FLAG,
    report: { type: 'string', value: 'FILE.html', about: 'a page to write: numbers, curves, confusion matrix, options' },
    curves: { type: 'string', value: 'FILE.svg', about: 'the curves of loss and accuracy to write' },
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
      about: 'most steps of a solver, or passes (adam, network)',
      defaultText: `${TRAIN_DEFAULTS.epochs.lbfgs} and ${TRAIN_DEFAULTS.epochs.adam}; a network ${RUN_DEFAULTS.epochs}`,
    },
    solver: {
      type: 'choice',
      choices: SOLVERS,
      about: 'how the head is fitted',
      defaultText: 'lbfgs; adam with --hidden',
    },
    neighbours: { type: 'integer', value: 'K', least: 1, about: 'knn: how many of the nearest examples vote', default: TRAIN_DEFAULTS.k },
    distance: { type: 'choice', choices: DISTANCES, about: 'knn: how near an example is', default: TRAIN_DEFAULTS.distance },
    keep: { type: 'boolean', about: 'keep the features in the head file, for --extend; knn always does' },
    extend: { type: 'string', value: 'HEAD', about: 'add the pictures and their classes to this head, and write the result to --out' },
    hidden: { type: 'integer', value: 'N', least: 1, most: 65536, about: 'units of a hidden layer', defaultText: 'none: a linear head' },
    lr: { type: 'number', value: 'RATE', about: 'adam, network: learning rate', defaultText: '0.001; a network by sgd 0.01' },
    batch: { type: 'integer', value: 'N', least: 1, about: 'adam, network: pictures a step', default: TRAIN_DEFAULTS.batchSize },
    classes: { type: 'list', value: 'A,B', about: 'only these classes, in this order', defaultText: 'all' },
    ...NETWORK_FLAGS,
  },
  examples: [
    ['vgg train photos/ --val 0.2 --out insects.head', 'features of the deepest pool, a fifth of the pictures for validation'],
    ['vgg train photos/ --val 0.2 --report run.html', 'a page with the curves and the confusion matrix'],
    ['vgg train tags.csv --solver multi-label --val 0.2 --out tags.head', 'several labels a picture: sea;sunset'],
    ['vgg train wasps/ --extend insects.head --out wider.head', 'more classes or examples for a head that was trained with --keep'],
    ['vgg train train/ --val val/ --weights vgg16.h5 --layer pool3 --size 128 --solver adam --seed 1 --out h.head', 'by mini-batch Adam'],
    ['vgg train photos/ --val 0.2 --weights vgg16.h5 --unfreeze conv5 --lr 1e-4 --out tuned.safetensors', 'the fifth block learns too'],
    [
      'vgg train photos/ --val 0.2 --weights vgg16.h5 --top pretrained --unfreeze fc6 --lr 1e-3 --out net.safetensors',
      'its dense layers learn on',
    ],
    [
      'vgg train train.zip --val test.zip --from-scratch --arch cifar_vgg16_bn --epochs 15 --batch 128 --augment cifar --out net.safetensors',
      'a network for pictures of 32 x 32',
    ],
  ],
  async run([folder], values, context) {
    const { out, layer, pool, size, val, epochs, solver, hidden, lr, batch, report: reportFile, curves } = values;
    const { options, signal, onProgress, warn } = context;
    checkTrainFlags(context.given, values);
    if (values.classes && solver && targetKind(solver))
      throw new UsageError(`vgg train --classes: expected none with --solver ${solver}, received some`);
    for (const [name, target] of Object.entries({ out, report: reportFile, curves }))
      if (target !== undefined) await checkWritable(`vgg train --${name}`, target);
    if (values.checkpoints !== undefined) await checkWritableFolder('vgg train --checkpoints', values.checkpoints);
    if (out === undefined) warn('without --out: what is trained is measured, and not kept');
    const start = performance.now();
    const opening = { signal, ...(values.classes && { classes: values.classes }) };
    const data = await openDataset(folder, opening);
    const validation = val === undefined ? undefined : await validationOf(val, opening);
    const skipped = [...data.skipped, ...(typeof validation === 'object' ? validation.skipped : [])];
    warnOfSkipped(skipped, warn);
    if (values.extend !== undefined && typeof validation === 'number')
      throw new UsageError(`vgg train --extend: expected a folder as --val, received ${validation}`);
    if (values['from-scratch'] || values.unfreeze !== undefined)
      return trainNetworkCommand(folder, data, validation, skipped, values, context);
    const { weights, arch, preprocessing, offline } = values;
    const model =
      values.extend === undefined
        ? await openModel({ weights, arch, preprocessing, offline, layers: layer === undefined ? undefined : [layer] }, context)
        : await modelOf(values.extend, values, context);
    try {
      const failed: Failure[] = [];
      const common = {
        epochs,
        signal,
        onWarning: warn,
        onProgress: (progress) => progress.stage !== 'train' && onProgress(progress),
        onEpoch: (entry) =>
          onProgress({
            stage: 'train',
            loaded: entry.epoch,
            total: epochs ?? TRAIN_DEFAULTS.epochs[solver ?? (hidden ? 'adam' : 'lbfgs')],
            item: scores(entry, isNumber(solver)),
          }),
      } satisfies TrainHeadOptions;
      const source = noting(model, failed);
      const head =
        values.extend === undefined
          ? await trainHead(source, data, {
              ...common,
              layer: layerOf(model, layer, context),
              pooling: pool,
              size,
              validation,
              solver,
              hidden,
              k: values.neighbours,
              distance: values.distance,
              keep: values.keep,
              learningRate: lr,
              batchSize: batch,
              seed: options.seed,
            })
          : await extendHead(await loadHead(values.extend, source, { signal }), data, {
              ...common,
              ...(typeof validation === 'object' && { validation }),
            });
      if (out !== undefined) await head.save(out);
      const seconds = (performance.now() - start) / 1000;
      const { classes, history, best, info } = head;
      const unit = entryUnit(info.training.solver);
      if (curves !== undefined) {
        const drawn = { best: best.epoch, unit: unit ?? 'step', targets: targetKind(info.training.solver) };
        await writeText(curves, trainingCurves(history, drawn), signal);
      }
      if (reportFile !== undefined) {
        const about = [...factsOf(head, model.weightsName), ['folder', folder], ['validation', val], ['head', out]] as const;
        await writeText(reportFile, reportOf(head, { about, seconds, versions: versionsOf(model) }), signal);
      }
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
          ...factsOf(head, model.weightsName),
          ['kept', `${unit ? `${unit} ${best.epoch}: ` : ''}${scores(best, isNumber(info.training.solver))}`],
          ['report', reportFile],
          ['curves', curves],
        ]),
        exit: failed.length > 0 ? EXIT.partial : EXIT.done,
      };
    } finally {
      model.dispose();
    }
  },
});

/** The model of the head in a file. */
async function modelOf(head: string, { weights, arch, offline }: Omit<HeadOptions, 'head'>, context: Context): Promise<Model> {
  const opened = await openHead({ head, weights, arch, offline }, context);
  opened.head.dispose();
  return opened.model;
}

async function validationOf(val: string, opening: DatasetOptions & { signal: AbortSignal }) {
  const fraction = Number(val);
  const isFolder = await stat(val).then(
    () => true,
    () => false,
  );
  if (isFolder || Number.isNaN(fraction)) return openDataset(val, opening);
  if (fraction > 0 && fraction < 1) return fraction;
  throw new UsageError(`vgg train --val: expected a folder or a fraction between 0 and 1, received ${val}`);
}

const isNumber = (solver: Solver = 'lbfgs'): boolean => targetKind(solver) === 'number';

/** What was trained, and on what. */
function factsOf({ layer, pooling, info, history }: Head, weights: string): (readonly [string, string])[] {
  const { images, solver } = info.training;
  const kept = info.kept === undefined ? '' : ', features kept';
  const unit = entryUnit(solver);
  // Some solvers tell only of their last step.
  const steps = unit ? `, ${plural(history.at(-1)!.epoch, unit)}` : '';
  return [
    ['features', `${layer} of ${weights}, pooling ${pooling}, ${plural(info.dimensions, 'value')} a picture`],
    ['trained on', `${plural(images, 'picture')}, ${solver}${steps}${kept}`],
  ];
}

function reportOf(head: Head, run: Pick<TrainingRun, 'about' | 'seconds' | 'versions'>): string {
  const { classes, history, best, evaluation, warnings, info, layer, pooling, size } = head;
  const { seed, images, ...options } = info.training;
  const { network } = info.base;
  return trainingReport({
    ...run,
    title: `A head on ${layer} of ${network}`,
    classes,
    targets: targetKind(info.training.solver),
    unit: entryUnit(info.training.solver) ?? 'step',
    history,
    best,
    evaluation,
    warnings,
    seed,
    options: { layer, pooling, size, hidden: info.hidden.length > 0 ? info.hidden : undefined, ...options },
  });
}

async function report(
  out: string | undefined,
  seconds: number,
  failed: readonly Failure[],
  rows: (readonly [string, string | undefined])[],
): Promise<() => string> {
  const size = out === undefined ? 0 : (await stat(out)).size;
  return () =>
    [
      facts([...rows, ['head', out === undefined ? 'not kept' : `${out}, ${bytes(size)}`], ['time', `${seconds.toFixed(1)} s`]]),
      ...(failed.length > 0 ? ['', failedText(failed)] : []),
    ].join('\n');
}
