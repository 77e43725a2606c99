import { aligned, grouped } from '../text/columns.js';
import type { Summary } from './summary.js';

const COLUMNS = ['layer', 'kind', 'output', 'parameters', 'MMACs', 'sees', 'stride', 'bytes'] as const;
/** Names are read from the left, numbers from the right. */
const LEFT = 2;

/**
 * A summary as a table: aligned columns for a terminal, or Markdown. Sizes are height x width x channels, `sees` is the receptive
 * field in pixels, `MMACs` are millions of multiply-accumulates.
 *
 * @example
 * formatSummary(summarize(network('vgg16')), { style: 'markdown' }); // 'vgg16, input 224x224x3 ... | conv1_1 | conv | 224x224x64 | 1,792 | ...'
 */
export function formatSummary(summary: Summary, { style = 'text' }: { style?: 'text' | 'markdown' } = {}): string {
  const rows = summary.rows.map((row) => [
    row.name,
    row.kind,
    row.output[0] === 1 && row.output[1] === 1 ? `${row.output[2]}` : row.output.join('x'),
    row.parameters ? grouped(row.parameters) : '',
    row.macs ? grouped(row.macs / 1e6, 1) : '',
    `${row.receptiveField}`,
    `${row.stride}`,
    grouped(row.activationBytes),
  ]);
  const total = ['total', '', '', grouped(summary.parameters), grouped(summary.macs / 1e6, 1), '', '', grouped(summary.activationBytes)];
  const table = style === 'markdown' ? markdown([...rows, total]) : text(rows, total);
  return [title(summary), '', ...table, '', ...notes(summary)].join('\n');
}

function title({ name, input }: Summary): string {
  return `${name}, input ${input.join('x')}`;
}

/** What a network costs, in a line. */
export function costLine({ parameters, parameterBytes, features, macs }: Summary): string {
  const share = parameters === 0 ? '' : ` (${((100 * (parameters - features.parameters)) / parameters).toFixed(1)} % in the dense layers)`;
  const size = parameterBytes < 2 ** 20 ? `${(parameterBytes / 2 ** 10).toFixed(1)} KiB` : `${(parameterBytes / 2 ** 20).toFixed(1)} MiB`;
  const work = macs < 1e8 ? `${(macs / 1e6).toFixed(2)} MMACs` : `${(macs / 1e9).toFixed(2)} GMACs`;
  return `${grouped(parameters)} parameters${share}, ${size} as float32, ${work} a picture`;
}

function notes(summary: Summary): string[] {
  const { statistics } = summary;
  const notes = [costLine(summary)];
  if (statistics > 0) notes.push(`and ${grouped(statistics)} means and variances of batch normalisation, which are not trained`);
  return notes;
}

function text(rows: readonly string[][], total: readonly string[]): string[] {
  const { lines, rule } = aligned([COLUMNS, ...rows, total], (column) => column >= LEFT);
  return [lines[0]!, rule, ...lines.slice(1, -1), rule, lines.at(-1)!];
}

function markdown(rows: readonly string[][]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(COLUMNS), line(COLUMNS.map((_, column) => (column < LEFT ? '---' : '---:'))), ...rows.map(line)];
}
