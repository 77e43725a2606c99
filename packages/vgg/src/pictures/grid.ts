import { VggError } from '@vgg/errors';
import { escapeText, shorten } from '../text/escape.js';
import { pngDataUrl } from './encode-png.js';
import type { Picture } from './picture.js';

export interface GridOptions {
  /** Pictures in a row; by default as many as make the grid about square. */
  columns?: number;
  /** Pixels around each picture; default 8. */
  padding?: number;
  /** Grey value from 0 to 255 between the pictures; default 255, white. */
  background?: number;
}

export interface TitledGridOptions extends Pick<GridOptions, 'columns' | 'padding'> {
  /** A line under each picture; one too long for its picture is cut, and whole in its tooltip. */
  titles?: readonly string[];
  /** Pixels of the longest side as shown; by default the pictures' own, and 96 for smaller ones. */
  side?: number;
}

/**
 * Pictures side by side in one, each in the middle of a cell as large as the largest; for a file see {@link encodePng}.
 *
 * @throws VggError `VGG_INPUT` for no pictures, `VGG_OPTION`
 * @example pictureGrid([a, b, c], { columns: 3, padding: 2 }) // three of 32 x 32: { width: 108, height: 36, data }
 */
export function pictureGrid(pictures: readonly Picture[], options: GridOptions = {}): Picture {
  const { columns, rows, padding, cell } = layout(pictures, options);
  const { background = 255 } = options;
  if (!(Number.isInteger(background) && background >= 0 && background <= 255))
    throw wrong('background', 'a whole number from 0 to 255', background);
  const width = columns * (cell.width + 2 * padding);
  const height = rows * (cell.height + 2 * padding);
  const data = new Uint8Array(width * height * 3).fill(background);
  pictures.forEach((picture, i) => {
    const left = (i % columns) * (cell.width + 2 * padding) + padding + ((cell.width - picture.width) >> 1);
    const top = Math.floor(i / columns) * (cell.height + 2 * padding) + padding + ((cell.height - picture.height) >> 1);
    const row = picture.width * 3;
    for (let y = 0; y < picture.height; y++) data.set(picture.data.subarray(y * row, (y + 1) * row), ((top + y) * width + left) * 3);
  });
  return { width, height, data };
}

const FONT = 12;
/** Height of a title's line. */
const LINE = 18;
/** Width of a letter of the font, on average. */
const LETTER = 6.4;

/**
 * Pictures side by side with a title under each, as SVG: the pictures are in it as PNGs, and the titles are text, dark on light or light
 * on dark as the reader's system is.
 *
 * @throws VggError `VGG_INPUT` for no pictures, `VGG_OPTION`, also for more or fewer titles than pictures
 * @example
 * await pictureGridSvg([ant, bee], { titles: ['ant 93 %', 'bee 88 %'] }); // '<svg xmlns="http://www.w3.org/2000/svg" ...'
 */
export async function pictureGridSvg(pictures: readonly Picture[], options: TitledGridOptions = {}): Promise<string> {
  const { columns, rows, padding, cell } = layout(pictures, options);
  const { titles, side } = options;
  if (titles && titles.length !== pictures.length) throw wrong('titles', `${pictures.length} of them`, titles.length);
  if (side !== undefined && !(Number.isFinite(side) && side > 0)) throw wrong('side', 'pixels above 0', side);
  const longest = Math.max(cell.width, cell.height);
  const zoom = (side ?? Math.max(longest, 96)) / longest;
  const step = { x: cell.width * zoom + 2 * padding, y: cell.height * zoom + 2 * padding + (titles ? LINE : 0) };
  const items: string[] = [];
  for (const [i, picture] of pictures.entries()) {
    const middle = ((i % columns) + 0.5) * step.x;
    const top = Math.floor(i / columns) * step.y + padding;
    const [width, height] = [picture.width * zoom, picture.height * zoom];
    const place = `x="${round(middle - width / 2)}" y="${round(top + (cell.height * zoom - height) / 2)}"`;
    items.push(
      `<image ${place} width="${round(width)}" height="${round(height)}"${zoom > 1 ? ' style="image-rendering:pixelated"' : ''} href="${await pngDataUrl(picture)}"/>`,
    );
    if (!titles) continue;
    const title = titles[i]!;
    const shown = shorten(title, Math.max(1, Math.floor((step.x - 4) / LETTER)));
    const whole = shown === title ? '' : `<title>${escapeText(title)}</title>`;
    items.push(`<text x="${round(middle)}" y="${round(top + cell.height * zoom + LINE - 4)}">${whole}${escapeText(shown)}</text>`);
  }
  const [width, height] = [round(columns * step.x), round(rows * step.y)];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" class="vgg-grid">`,
    `<style>.vgg-grid text{font:${FONT}px system-ui,sans-serif;text-anchor:middle;fill:#1f2328}@media(prefers-color-scheme:dark){.vgg-grid text{fill:#e6edf3}}</style>`,
    ...items,
    '</svg>',
    '',
  ].join('\n');
}

function layout(pictures: readonly Picture[], { columns, padding = 8 }: Pick<GridOptions, 'columns' | 'padding'>) {
  if (pictures.length === 0) throw new VggError('VGG_INPUT', 'pictureGrid: expected pictures, received none');
  if (columns !== undefined && !(Number.isInteger(columns) && columns > 0)) throw wrong('columns', 'a whole number above 0', columns);
  if (!(Number.isInteger(padding) && padding >= 0)) throw wrong('padding', 'whole pixels from 0', padding);
  const across = Math.min(columns ?? Math.ceil(Math.sqrt(pictures.length)), pictures.length);
  return {
    columns: across,
    rows: Math.ceil(pictures.length / across),
    padding,
    cell: {
      width: Math.max(...pictures.map(({ width }) => width)),
      height: Math.max(...pictures.map(({ height }) => height)),
    },
  };
}

const round = (value: number): number => Math.round(value * 100) / 100;

function wrong(name: string, expected: string, received: unknown): VggError {
  return new VggError('VGG_OPTION', `pictureGrid: expected ${expected} as ${name}, received ${String(received)}`);
}
