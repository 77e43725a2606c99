import { openDataset } from '../../data/dataset.js';
import type { Evaluation } from '../../head/evaluate/evaluation.js';
import { targetKind } from '../../head/train/settings.js';
import type { Model } from '../../model.js';
import { type EvaluationRun, evaluationReport } from '../../report/evaluation-report.js';
import { command } from '../command.js';
import { evaluateTargets } from '../eval-targets.js';
import { EXIT } from '../exit.js';
import { openHead } from '../head-command.js';
import { imageNetEvaluation } from '../imagenet-eval.js';
import { MODEL_FLAGS, openModel, PREPROCESSING_FLAG, SIZE_FLAG } from '../open-model.js';
import { type Failure, failedText, failure, warnOfSkipped } from '../pictures.js';
import { versionsOf, writeText } from '../report-file.js';
import { facts, percent, plural, table } from '../text.js';

/** A wider matrix would not fit a terminal; JSON has it whole. */
const WIDEST = 12;

export const evaluate = command({
  name: 'eval',
  about: 'measures a head, or complete weights, on photographs in class folders',
  args: 'DIR',
  details:
    'With --head, the folders of DIR are named as the classes of the head; for a multi-label or regression head DIR is a list whose classes are labels (sea;sunset) or numbers. Without, the weights classify, and the folders are named by wnid (n02123159), class name or class index.',
  least: 1,
  most: 1,
  flags: {
    head: { type: 'string', value: 'HEAD', about: 'the head file' },
    ...MODEL_FLAGS,
    preprocessing: { ...PREPROCESSING_FLAG, about: `without --head: ${PREPROCESSING_FLAG.about}` },
    classes: { type: 'string', value: 'FILE', about: 'without --head: names of the classes', defaultText: "the weights' own" },
    report: { type: 'string', value: 'FILE.html', about: 'a page to write: numbers, and the confusion matrix or what else the head tells' },
    size: { ...SIZE_FLAG, about: `without --head: ${SIZE_FLAG.about}` },
  },
  examples: [
    ['vgg eval val/ --head insects.head --weights vgg16.h5', 'accuracy and confusion'],
    ['vgg eval imagenet-val/ --weights vgg16.keras_in1k --json', 'top-1 and top-5 on ImageNet folders'],
  ],
  async run([folder], { head: file, classes, size, report, ...values }, context) {
    const { signal, onProgress, warn } = context;
    const start = performance.now();
    const data = await openDataset(folder, { signal });
    warnOfSkipped(data.skipped, warn);
    const write = async (told: EvaluationRun['evaluation'], model: Model) => {
      if (report === undefined) return undefined;
      const about = [
        ['folder', folder],
        ['head', file],
        ['weights', model.weightsName],
      ] as const;
      const title = `${file ?? model.weightsName} on ${folder}`;
      const seconds = (performance.now() - start) / 1000;
      await writeText(report, evaluationReport({ title, evaluation: told, about, seconds, versions: versionsOf(model) }), signal);
      return report;
    };
    let evaluation: Evaluation;
    let backend: string;
    if (file === undefined) {
      const model = await openModel({ ...values, classes, classifies: true }, context);
      try {
        evaluation = await imageNetEvaluation(model, data, { size, signal, onProgress });
        backend = model.backend.name;
        await write(evaluation, model);
      } finally {
        model.dispose();
      }
    } else {
      const { head, model } = await openHead({ head: file, ...values }, context);
      try {
        const kind = targetKind(head.info.training.solver);
        if (kind) {
          const written = (told: EvaluationRun['evaluation']) => write(told, model);
          return await evaluateTargets(head, kind, data, { report: written, start, backend: model.backend.name, signal, onProgress });
        }
        evaluation = await head.evaluate(data, { signal, onProgress });
        backend = model.backend.name;
        await write(evaluation, model);
      } finally {
        head.dispose();
        model.dispose();
      }
    }
    const failed: Failure[] = evaluation.failed.map(({ name, error }) => failure(name, error));
    const seconds = (performance.now() - start) / 1000;
    const { top1, top5, images, loss, meanRecall, calibrationError, perClass, confusion, skipped } = evaluation;
    return {
      json: { top1, top5, confusion, images, loss, meanRecall, calibrationError, perClass, failed, skipped, seconds, backend },
      text: () =>
        [
          facts([
            ['pictures', `${plural(images, 'picture')}${failed.length > 0 ? `, ${failed.length} failed` : ''}`],
            ['top-1', percent(top1)],
            ...(confusion.classes.length > 5 ? ([['top-5', percent(top5)]] as const) : []),
            ['mean recall', percent(meanRecall)],
            ['loss', loss.toFixed(4)],
            ['report', report],
            ['time', `${seconds.toFixed(1)} s on ${backend}`],
          ]),
          '',
          confusion.classes.length <= WIDEST ? matrix(confusion) : recalls(perClass),
          ...(failed.length > 0 ? ['', failedText(failed)] : []),
        ].join('\n'),
      exit: failed.length > 0 ? EXIT.partial : EXIT.done,
    };
  },
});

function matrix({ classes, matrix }: Evaluation['confusion']): string {
  const rows = matrix.map((row, truth) => [classes[truth], ...row.map(String)]);
  return table(['truth \\ predicted', ...classes], rows, [...classes]);
}

function recalls(perClass: Evaluation['perClass']): string {
  const rows = perClass
    .filter(({ images }) => images > 0)
    .map(({ label, images, recall }) => [label, String(images), recall === undefined ? '' : percent(recall)]);
  return table(['class', 'pictures', 'recall'], rows, ['pictures', 'recall']);
}
