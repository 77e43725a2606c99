import type { LabelsEvaluation, NumbersEvaluation } from '../head/evaluate/evaluate-targets.js';
import type { Evaluation } from '../head/evaluate/evaluation.js';
import { percent } from '../text/percent.js';
import { cards, type Facts, factsTable, note, numbersTable, page, section } from './html.js';
import { measuresOf } from './measures.js';
import { duration, footer, predictions, warningsAndVersions } from './parts.js';
import type { TrainingRun } from './training-report.js';

/** Of an evaluation alone. */
export interface EvaluationRun extends Pick<TrainingRun, 'title' | 'about' | 'seconds' | 'versions' | 'warnings'> {
  /** Of classes, of a multi-label head or of a regression head. */
  evaluation: Evaluation | LabelsEvaluation | NumbersEvaluation;
}

/** Pictures that a regression head is furthest from. */
const FURTHEST = 20;

/** An evaluation as a page of the same kind as {@link trainingReport}. */
export function evaluationReport({ title, evaluation, about = [], warnings = [], ...run }: EvaluationRun): string {
  const { lead, rows, sections, targets } = told(evaluation);
  const { images, failed } = evaluation;
  return page(
    title,
    `${images} ${images === 1 ? 'picture' : 'pictures'}${lead}`,
    [
      cards([
        ...rows,
        ['failed', failed.length === 0 ? undefined : String(failed.length)],
        ['time', run.seconds === undefined ? undefined : duration(run.seconds)],
      ]),
      ...sections,
      about.length === 0 ? undefined : section('Evaluated', factsTable(about)),
      ...warningsAndVersions(run, warnings),
    ],
    footer(measuresOf(targets)),
  );
}

interface Told {
  readonly lead: string;
  readonly rows: Facts;
  readonly sections: readonly string[];
  readonly targets?: 'labels' | 'number';
}

function told(evaluation: EvaluationRun['evaluation']): Told {
  if ('rmse' in evaluation) return { ...ofNumbers(evaluation), targets: 'number' };
  if ('confusion' in evaluation) return ofClasses(evaluation);
  return { ...ofLabels(evaluation), targets: 'labels' };
}

function ofClasses(evaluation: Evaluation): Told {
  const { top1, top5, loss, confusion } = evaluation;
  const rows = [
    ['top-1', percent(top1)],
    ['top-5', confusion.classes.length > 5 ? percent(top5) : undefined],
    ['loss', loss.toFixed(4)],
  ] as const;
  return { lead: ` of ${confusion.classes.length} classes`, rows, sections: [predictions(evaluation, 'Predictions')] };
}

/** What labels that are right or wrong come to. */
export function labelFacts({
  meanAveragePrecision,
  meanF1,
  subsetAccuracy,
  accuracy,
  loss,
}: LabelsEvaluation): (readonly [string, string])[] {
  return [
    ['mean average precision', percent(meanAveragePrecision)],
    ['mean F1', percent(meanF1)],
    ['pictures all right', percent(subsetAccuracy)],
    ['decisions right', percent(accuracy)],
    ['loss', loss.toFixed(4)],
  ];
}

function ofLabels(evaluation: LabelsEvaluation): Told {
  const { perClass } = evaluation;
  const part = (value: number | undefined) => (value === undefined ? '–' : percent(value));
  const rows = perClass.map(({ label, images, averagePrecision, precision, recall, f1 }) => [
    label,
    ...[String(images), part(averagePrecision), part(precision), part(recall), part(f1)],
  ]);
  return {
    lead: `, ${perClass.length} labels`,
    rows: labelFacts(evaluation),
    sections: [
      section(
        'Labels',
        numbersTable(['label', 'pictures', 'average precision', 'precision', 'recall', 'F1'], rows),
        note('A label is given from a probability of 0.5 on; the average precision depends on no such limit.'),
      ),
    ],
  };
}

function ofNumbers({ mae, rmse, r2, pictures }: NumbersEvaluation): Told {
  const furthest = [...pictures].sort((a, b) => Math.abs(b.predicted - b.target) - Math.abs(a.predicted - a.target)).slice(0, FURTHEST);
  const short = (value: number) => String(Number(value.toPrecision(5)));
  const rows = furthest.map(({ name, target, predicted }) => [name, short(target), short(predicted), short(predicted - target)]);
  return {
    lead: '',
    rows: [
      ['mean absolute error', short(mae)],
      ['root mean square error', short(rmse)],
      ['R²', r2.toFixed(4)],
    ],
    sections: [
      section(pictures.length > FURTHEST ? 'Largest errors' : 'Predictions', numbersTable(['picture', 'true', 'predicted', 'error'], rows)),
    ],
  };
}
