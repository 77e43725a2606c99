import type { Evaluation } from '../head/evaluate/evaluation.js';
import { percent } from '../text/percent.js';
import { confusionTable } from './confusion.js';
import { type CurvePoint, trainingCurves } from './curves.js';
import { cards, classList, type Facts, factsTable, note, numbersTable, page, section } from './html.js';

/** What a report tells of a run: of a network or a head. */
export interface TrainingRun {
  /** Such as `insects: a head on pool3 of vgg16`. */
  title: string;
  classes: readonly string[];
  history: readonly CurvePoint[];
  /** The epoch that was kept; default the last. */
  best?: CurvePoint;
  /** What was trained and on what: `['features', 'pool3, 256 values a picture']` ... */
  about?: Facts;
  /** The options of the run, as they took effect; those that are undefined are left out. */
  options?: Readonly<Record<string, unknown>>;
  /** The kept epoch's predictions on pictures that were not trained on. */
  evaluation?: Evaluation;
  warnings?: readonly string[];
  seed?: number;
  /** How long the run took. */
  seconds?: number;
  /** Programs and machines, by name: `{ vgg: '0.2.0', node: 'v22.1.0', backend: 'wasm, 4 threads' }`. */
  versions?: Readonly<Record<string, string | undefined>>;
}

/** Of an evaluation alone. */
export interface EvaluationRun extends Pick<TrainingRun, 'title' | 'about' | 'seconds' | 'versions' | 'warnings'> {
  evaluation: Evaluation;
}

/**
 * A run as one HTML page that refers to nothing outside and runs no script: the numbers of the kept and of the last epoch, the curves,
 * the confusion matrix, classes, options, seed, versions and time.
 *
 * @throws VggError `VGG_INPUT` for a history without epochs
 * @example
 * const { classes, history, best, evaluation } = head;
 * await writeFile('run.html', trainingReport({ title: 'Ants and bees', classes, history, best, evaluation }));
 */
export function trainingReport(run: TrainingRun): string {
  const { title, classes, history, evaluation, about = [], options = {}, warnings = [] } = run;
  const curves = trainingCurves(history, { best: run.best?.epoch });
  const last = history.at(-1)!;
  const best = run.best ?? last;
  return page(
    title,
    `${classes.length} classes, ${history.length} ${history.length === 1 ? 'epoch' : 'epochs'}`,
    [
      cards([
        ['validation accuracy', best.valAccuracy === undefined ? undefined : percent(best.valAccuracy)],
        ['validation loss', best.valLoss?.toFixed(4)],
        ['training accuracy', best.accuracy === undefined ? undefined : percent(best.accuracy)],
        ['training loss', best.loss.toFixed(4)],
        ['kept epoch', `${best.epoch} of ${last.epoch}`],
        ['time', run.seconds === undefined ? undefined : duration(run.seconds)],
      ]),
      section('Curves', curves),
      section('Numbers', numbers(best, last)),
      ...evaluationSections(evaluation, 'Validation'),
      section('Classes', classList(classes)),
      section('Run', factsTable([...about, ...optionFacts(options), ['seed', run.seed?.toString()]])),
      ...warningsAndVersions(run, warnings),
    ],
    FOOTER,
  );
}

/** An evaluation as a page of the same kind. */
export function evaluationReport({ title, evaluation, about = [], warnings = [], ...run }: EvaluationRun): string {
  const { images, top1, top5, loss, confusion, failed } = evaluation;
  return page(
    title,
    `${images} ${images === 1 ? 'picture' : 'pictures'} of ${confusion.classes.length} classes`,
    [
      cards([
        ['top-1', percent(top1)],
        ['top-5', confusion.classes.length > 5 ? percent(top5) : undefined],
        ['loss', loss.toFixed(4)],
        ['failed', failed.length === 0 ? undefined : String(failed.length)],
        ['time', run.seconds === undefined ? undefined : duration(run.seconds)],
      ]),
      ...evaluationSections(evaluation, 'Predictions'),
      about.length === 0 ? undefined : section('Evaluated', factsTable(about)),
      ...warningsAndVersions(run, warnings),
    ],
    FOOTER,
  );
}

const FOOTER = 'Written by vgg. Losses are mean cross-entropies (natural logarithm) with the parameters at the end of each epoch.';

function numbers(best: CurvePoint, last: CurvePoint): string {
  const chosen: readonly (readonly [string, CurvePoint])[] =
    best.epoch === last.epoch
      ? [['kept, the last', best]]
      : [
          ['kept', best],
          ['last', last],
        ];
  const rows = chosen.map(([name, { epoch, loss, accuracy, valLoss, valAccuracy }]) => [
    name,
    String(epoch),
    loss.toFixed(4),
    accuracy === undefined ? '–' : percent(accuracy),
    valLoss?.toFixed(4) ?? '–',
    valAccuracy === undefined ? '–' : percent(valAccuracy),
  ]);
  return numbersTable(['', 'epoch', 'loss', 'accuracy', 'validation loss', 'validation accuracy'], rows);
}

function evaluationSections(evaluation: Evaluation | undefined, title: string): string[] {
  if (!evaluation) return [section(title, note('No pictures were set aside, so nothing is known of how it does on others.'))];
  const { images, meanRecall, calibrationError } = evaluation;
  const summary = `${images} ${images === 1 ? 'picture' : 'pictures'}, mean recall ${percent(meanRecall)}, calibration error ${calibrationError.toFixed(3)}`;
  return [section(title, confusionTable(evaluation), note(summary))];
}

function warningsAndVersions({ versions = {} }: Pick<TrainingRun, 'versions'>, warnings: readonly string[]): (string | undefined)[] {
  const listed = Object.entries(versions);
  return [
    warnings.length === 0 ? undefined : section('Warnings', ...warnings.map(note)),
    listed.length === 0 ? undefined : section('Versions', factsTable(listed)),
  ];
}

function optionFacts(options: Readonly<Record<string, unknown>>): Facts {
  return Object.entries(options).map(([name, value]) => [
    name,
    value === undefined || value === null ? undefined : typeof value === 'object' ? JSON.stringify(value) : String(value),
  ]);
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}
