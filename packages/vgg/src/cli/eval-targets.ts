import type { OnProgress } from '@vgg/errors';
import type { Dataset } from '../data/dataset.js';
import type { Head } from '../head/head.js';
import type { TargetKind } from '../head/targets.js';
import { type EvaluationRun, labelFacts } from '../report/evaluation-report.js';
import type { Result } from './command.js';
import { EXIT } from './exit.js';
import { type Failure, failedText, failure } from './pictures.js';
import { facts, percent, plural, table } from './text.js';

interface Run {
  /** Writes a report where one is asked for; says where. */
  readonly report: (evaluation: EvaluationRun['evaluation']) => Promise<string | undefined>;
  /** When the command began, by performance.now(). */
  readonly start: number;
  readonly backend: string;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
}

/** `vgg eval` of a multi-label or a regression head. */
export async function evaluateTargets(
  head: Head,
  kind: TargetKind,
  data: Dataset,
  { report, start, backend, ...options }: Run,
): Promise<Result> {
  const made = kind === 'labels' ? await ofLabels(head, data, options) : await ofNumbers(head, data, options);
  const failed: Failure[] = made.failed.map(({ name, error }) => failure(name, error));
  const seconds = (performance.now() - start) / 1000;
  const { images, skipped } = made;
  const written = await report(made.evaluation);
  return {
    json: { ...made.json, images, failed, skipped, seconds, backend },
    text: () =>
      [
        facts([
          ['pictures', `${plural(images, 'picture')}${failed.length > 0 ? `, ${failed.length} failed` : ''}`],
          ...made.facts,
          ['report', written],
          ['time', `${seconds.toFixed(1)} s on ${backend}`],
        ]),
        ...made.table,
        ...(failed.length > 0 ? ['', failedText(failed)] : []),
      ].join('\n'),
    exit: failed.length > 0 ? EXIT.partial : EXIT.done,
  };
}

type Options = Pick<Run, 'signal' | 'onProgress'>;

async function ofLabels(head: Head, data: Dataset, options: Options) {
  const evaluation = await head.evaluateLabels(data, options);
  const { meanAveragePrecision, meanF1, subsetAccuracy, loss, accuracy, perClass, ...rest } = evaluation;
  const rows = perClass.map(({ label, images, averagePrecision }) => [
    label,
    String(images),
    averagePrecision === undefined ? '' : percent(averagePrecision),
  ]);
  return {
    ...rest,
    evaluation,
    json: { meanAveragePrecision, meanF1, subsetAccuracy, loss, accuracy, perClass },
    facts: labelFacts(evaluation),
    table: ['', table(['label', 'pictures', 'average precision'], rows, ['pictures', 'average precision'])],
  };
}

async function ofNumbers(head: Head, data: Dataset, options: Options) {
  const evaluation = await head.evaluateNumbers(data, options);
  const { mae, rmse, r2, pictures, ...rest } = evaluation;
  const about = [
    ['mae', mae.toPrecision(5)],
    ['rmse', rmse.toPrecision(5)],
    ['R2', r2.toFixed(4)],
  ] as const;
  return { ...rest, evaluation, json: { mae, rmse, r2, pictures }, facts: about, table: [] };
}
