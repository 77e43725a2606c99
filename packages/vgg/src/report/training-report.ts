import type { Evaluation } from '../head/evaluate/evaluation.js';
import type { TargetKind } from '../head/targets.js';
import { type CurvePoint, trainingCurves } from './curves.js';
import { cards, classList, type Facts, factsTable, note, numbersTable, page, section } from './html.js';
import { type Measures, measuresOf, scoreText } from './measures.js';
import { duration, footer, predictions, warningsAndVersions } from './parts.js';

/** What a report tells of a run: of a network or a head. */
export interface TrainingRun {
  /** Such as `insects: a head on pool3 of vgg16`. */
  title: string;
  classes: readonly string[];
  /** What a picture has in the place of one class: several `labels`, or a `number`, whose loss is a squared error and whose accuracy is R². */
  targets?: TargetKind | undefined;
  history: readonly CurvePoint[];
  /** What `epoch` of the history counts: `step` for solvers that take all examples at once. Default: `epoch`. */
  unit?: string | undefined;
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
  const { title, classes, history, evaluation, about = [], options = {}, warnings = [], targets, unit = 'epoch' } = run;
  const curves = trainingCurves(history, { best: run.best?.epoch, unit, targets });
  const measures = measuresOf(targets);
  const { loss, score } = measures;
  const kinds = targets === 'number' ? 'numbers' : `${classes.length} ${targets ?? 'classes'}`;
  const last = history.at(-1)!;
  const best = run.best ?? last;
  return page(
    title,
    `${kinds}, ${last.epoch} ${last.epoch === 1 ? unit : `${unit}s`}`,
    [
      cards([
        [`validation ${score}`, best.valAccuracy === undefined ? undefined : scoreText(measures, best.valAccuracy)],
        [`validation ${loss}`, best.valLoss?.toFixed(4)],
        [`training ${score}`, best.accuracy === undefined ? undefined : scoreText(measures, best.accuracy)],
        [`training ${loss}`, best.loss.toFixed(4)],
        [`kept ${unit}`, `${best.epoch} of ${last.epoch}`],
        ['time', run.seconds === undefined ? undefined : duration(run.seconds)],
      ]),
      section('Curves', curves),
      section('Numbers', numbers(best, last, measures, unit)),
      ...evaluationSections(evaluation, best),
      targets === 'number' ? undefined : section(targets === 'labels' ? 'Labels' : 'Classes', classList(classes)),
      section('Run', factsTable([...about, ...optionFacts(options), ['seed', run.seed?.toString()]])),
      ...warningsAndVersions(run, warnings),
    ],
    footer(measures),
  );
}

function numbers(best: CurvePoint, last: CurvePoint, measures: Measures, unit: string): string {
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
    accuracy === undefined ? '–' : scoreText(measures, accuracy),
    valLoss?.toFixed(4) ?? '–',
    valAccuracy === undefined ? '–' : scoreText(measures, valAccuracy),
  ]);
  const { loss, score } = measures;
  return numbersTable(['', unit, loss, score, `validation ${loss}`, `validation ${score}`], rows);
}

/** Nothing more is known of validation pictures than the numbers above, where there is no evaluation. */
function evaluationSections(evaluation: Evaluation | undefined, { valLoss }: CurvePoint): string[] {
  if (evaluation) return [predictions(evaluation, 'Validation')];
  return valLoss === undefined
    ? [section('Validation', note('No pictures were set aside, so nothing is known of how it does on others.'))]
    : [];
}

function optionFacts(options: Readonly<Record<string, unknown>>): Facts {
  return Object.entries(options).map(([name, value]) => [
    name,
    value === undefined || value === null ? undefined : typeof value === 'object' ? JSON.stringify(value) : String(value),
  ]);
}
