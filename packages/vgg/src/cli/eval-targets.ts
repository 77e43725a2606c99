import type { OnProgress } from '@vgg/errors';
import type { Dataset } from '../data/dataset.js';
import type { Head } from '../head/head.js';
import type { TargetKind } from '../head/targets.js';
import type { Result } from './command.js';
import { EXIT, UsageError } from './exit.js';
import { type Failure, failedText, failure } from './pictures.js';
import { facts, percent, plural, table } from './text.js';

interface Run {
  readonly report: string | undefined;
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
  if (report !== undefined)
    throw new UsageError('vgg eval --report: expected a head of one class a picture, received another kind; leave it out');
  const made = kind === 'labels' ? await ofLabels(head, data, options) : await ofNumbers(head, data, options);
  const failed: Failure[] = made.failed.map(({ name, error }) => failure(name, error));
  const seconds = (performance.now() - start) / 1000;
  const { images, skipped } = made;
  return {
    json: { ...made.json, images, failed, skipped, seconds, backend },
    text: () =>
      [
        facts([
          ['pictures', `${plural(images, 'picture')}${failed.length > 0 ? `, ${failed.length} failed` : ''}`],
          ...made.facts,
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
  const { meanAveragePrecision, loss, accuracy, perClass, ...rest } = await head.evaluateLabels(data, options);
  const rows = perClass.map(({ label, images, averagePrecision }) => [
    label,
    String(images),
    averagePrecision === undefined ? '' : percent(averagePrecision),
  ]);
  return {
    ...rest,
    json: { meanAveragePrecision, loss, accuracy, perClass },
    facts: [
      ['mean average precision', percent(meanAveragePrecision)],
      ['decisions right', percent(accuracy)],
      ['loss', loss.toFixed(4)],
    ] as const,
    table: ['', table(['label', 'pictures', 'average precision'], rows, ['pictures', 'average precision'])],
  };
}

async function ofNumbers(head: Head, data: Dataset, options: Options) {
  const { rmse, r2, ...rest } = await head.evaluateNumbers(data, options);
  const about = [
    ['rmse', rmse.toPrecision(5)],
    ['R2', r2.toFixed(4)],
  ] as const;
  return { ...rest, json: { rmse, r2 }, facts: about, table: [] };
}
