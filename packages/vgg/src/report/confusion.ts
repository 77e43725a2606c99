import type { Evaluation } from '../head/evaluate/evaluation.js';
import { escapeText, shorten } from '../text/escape.js';
import { percent } from '../text/percent.js';
import { note, numbersTable } from './html.js';

/** A wider matrix is no longer read; the largest confusions are listed instead. */
const WIDEST = 25;
const CONFUSIONS = 20;

/** The confusion matrix as a table, each cell tinted by its part of its row; for many classes, what is confused most. */
export function confusionTable({ confusion: { classes, matrix }, perClass }: Evaluation): string {
  if (classes.length > WIDEST) return largestConfusions(classes, matrix);
  const header = ['', ...classes.map((name) => shorten(name, 14)), 'recall'].map((name) => `<th>${escapeText(name)}</th>`).join('');
  const rows = matrix.map((row, truth) => {
    const images = row.reduce((a, b) => a + b, 0);
    const cells = row.map((count, predicted) => {
      if (count === 0) return '<td class="none">0</td>';
      const part = Math.round((15 + 60 * (count / images)) * 10) / 1000;
      return `<td class="${truth === predicted ? 'right' : 'wrong'}" style="--part:${part}">${count}</td>`;
    });
    const recall = perClass[truth]?.recall;
    return `<tr><th>${escapeText(shorten(classes[truth]!, 24))}</th>${cells.join('')}<td class="recall">${recall === undefined ? '–' : percent(recall)}</td></tr>`;
  });
  return [
    `<div class="wide"><table class="confusion"><thead><tr>${header}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`,
    note('Rows are the true classes, columns the predicted ones, in pictures.'),
  ].join('\n');
}

function largestConfusions(classes: readonly string[], matrix: readonly (readonly number[])[]): string {
  const pairs = matrix.flatMap((row, truth) =>
    row.map((count, predicted) => ({ truth, predicted, count })).filter(({ predicted, count }) => predicted !== truth && count > 0),
  );
  if (pairs.length === 0) return note('No class was taken for another.');
  const rows = pairs
    .sort((a, b) => b.count - a.count || a.truth - b.truth)
    .slice(0, CONFUSIONS)
    .map(({ truth, predicted, count }) => [`${classes[truth]} taken for ${classes[predicted]}`, String(count)]);
  return numbersTable(['most frequent confusions', 'pictures'], rows);
}
