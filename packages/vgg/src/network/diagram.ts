import { grouped } from '../text/columns.js';
import { escapeText } from '../text/escape.js';
import { two } from '../text/svg.js';
import { costLine } from './format-summary.js';
import type { Summary, SummaryRow } from './summary.js';

/** Layers that are drawn; others only do something to the values of the one before them. */
const DRAWN: Partial<Record<SummaryRow['kind'], string>> = { conv: 'conv', pool: 'pool', mean: 'pool', dense: 'dense' };
/** Pixels of the side of the tallest box, the least side, and the height of the line of all boxes' middles. */
const TALLEST = 150;
const LEAST = 8;
const TOP = 74;
const MIDDLE = TOP + TALLEST / 2;
const LEFT = 16;
const GAP = 5;
/** Between blocks, where a title has to fit. */
const BLOCK_GAP = 22;
/** Width of a letter, on average. */
const LETTER = 7.4;
/** Room for the longest name, written upwards. */
const NAMES = 56;

/**
 * A network as a drawing, as papers have it: a box for each convolution, pool and dense layer, as tall as its map (by the square root, so that
 * the last ones are seen) and as wide as it has channels (by their logarithm). Every box says its sizes and costs when it is pointed at.
 * SVG; the colours follow the reader's light or dark system.
 *
 * @example
 * await writeFile('vgg16.svg', networkDiagram(summarize(network('vgg16')))); // vgg info vgg16 --style svg
 */
export function networkDiagram(summary: Summary): string {
  const { name, input, rows } = summary;
  const tallest = Math.max(1, input[0], ...rows.map(({ output }) => output[0]));
  const parts: string[] = [];
  let x = LEFT;
  const box = (kind: string, title: string, label: string, [height, , channels]: SummaryRow['output']) => {
    const tall = Math.max(LEAST, TALLEST * Math.sqrt(height / tallest));
    const wide = kind === 'pool' ? 6 : 4 + 2 * Math.log2(1 + channels);
    const middle = two(x + wide / 2);
    parts.push(
      `<rect class="${kind}" x="${two(x)}" y="${two(MIDDLE - tall / 2)}" width="${two(wide)}" height="${two(tall)}" rx="1.5"><title>${escapeText(title)}</title></rect>`,
      `<text class="name" transform="translate(${two(middle + 4)} ${TOP + TALLEST + 8}) rotate(-90)" text-anchor="end">${escapeText(label)}</text>`,
    );
    x += wide + GAP;
  };
  box('input', `input: ${sizeOf(input)}`, 'input', input);
  x += BLOCK_GAP;

  let shown = '';
  /** Where the last title has ended. */
  let free = 0;
  for (const row of rows) {
    const kind = DRAWN[row.kind];
    if (!kind) continue;
    const size = sizeOf(row.output);
    if (kind !== 'pool' && size !== shown) {
      // A new block: its size stands above it.
      if (shown !== '') x = Math.max(x + BLOCK_GAP, free);
      parts.push(`<text class="size" x="${two(x)}" y="${TOP - 12}">${size}</text>`);
      free = x + size.length * LETTER + 12;
      shown = size;
    }
    box(kind, titleOf(row), row.name, row.output);
  }
  const width = Math.ceil(Math.max(x, free, LEFT + costLine(summary).length * LETTER) + LEFT);
  const height = TOP + TALLEST + 8 + NAMES;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" class="vgg-network" role="img" aria-label="${escapeText(`the layers of ${name}`)}">`,
    `<style>${STYLE}</style>`,
    `<text class="title" x="${LEFT}" y="22">${escapeText(name)}</text>`,
    `<text x="${LEFT}" y="40">${escapeText(costLine(summary))}</text>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

const sizeOf = ([height, width, channels]: SummaryRow['output']): string =>
  height === 1 && width === 1 ? grouped(channels) : `${height}x${width}x${channels}`;

function titleOf({ name, kind, output, parameters, macs, receptiveField }: SummaryRow): string {
  const costs = [
    parameters ? `${grouped(parameters)} parameters` : '',
    macs ? `${grouped(macs / 1e6, 1)} million MACs` : '',
    `sees ${receptiveField} pixels`,
  ];
  return [`${name} (${kind}): ${sizeOf(output)}`, ...costs].filter((part) => part !== '').join(', ');
}

const STYLE = [
  '.vgg-network{max-width:100%;height:auto;--ink:#1f2328;--soft:#59636e;--input:#8c959f;--conv:#0969da;--pool:#bc4c00;--dense:#1a7f37}',
  '.vgg-network text{font:12px system-ui,sans-serif;fill:var(--soft)}',
  '.vgg-network .title{font-weight:600;font-size:14px;fill:var(--ink)}',
  '.vgg-network .name{font-size:11px}',
  '.vgg-network .size{fill:var(--ink)}',
  ...['input', 'conv', 'pool', 'dense'].map((kind) => `.vgg-network .${kind}{fill:var(--${kind})}`),
  '@media(prefers-color-scheme:dark){.vgg-network{--ink:#e6edf3;--soft:#9198a1;--input:#8b949e;--conv:#58a6ff;--pool:#f0883e;--dense:#3fb950}}',
].join('');
