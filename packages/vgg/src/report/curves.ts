import { VggError } from '@vgg/errors';
import type { TargetKind } from '../head/targets.js';
import { escapeText } from '../text/escape.js';
import { two } from '../text/svg.js';
import { capitalised, type Measures, measuresOf } from './measures.js';
import { linearScale, logScale, type Scale, wholeScale } from './scale.js';

/** How a run stood after an epoch; a head's history is a list of these. */
export interface CurvePoint {
  readonly epoch: number;
  readonly loss: number;
  /** From 0 to 1. */
  readonly accuracy?: number;
  readonly valLoss?: number;
  readonly valAccuracy?: number;
  /** The learning rate. */
  readonly rate?: number;
}

export interface CurvesOptions {
  /** The epoch that was kept; it is marked. */
  best?: number;
  /** Of the horizontal axis; default `epoch`. */
  unit?: string | undefined;
  /** What a picture has in the place of one class: for a `number` the curves are those of the squared error and of R². */
  targets?: TargetKind | undefined;
}

/** One of the stacked charts. */
interface Panel {
  readonly name: string;
  readonly height: number;
  readonly lines: readonly { readonly kind: Kind; readonly of: (point: CurvePoint) => number | undefined }[];
  scale(values: readonly number[]): Scale;
}

type Kind = 'train' | 'val' | 'rate';
const NAMES: Readonly<Record<Kind, string>> = { train: 'training', val: 'validation', rate: 'learning rate' };

const WIDTH = 720;
const LEFT = 56;
const RIGHT = 16;
/** From the end of one panel's axis to the next one's. */
const GAP = 42;
const TOP = 54;
/** The ratio of the largest to the least from which a logarithmic axis shows more. */
const WIDE = 30;

const panelsOf = (measures: Measures): readonly Panel[] => [
  {
    name: measures.loss,
    height: 180,
    lines: [
      { kind: 'train', of: ({ loss }) => loss },
      { kind: 'val', of: ({ valLoss }) => valLoss },
    ],
    scale: (values) => eitherScale(values, Math.min(0, ...values)),
  },
  {
    name: measures.score,
    height: 180,
    lines: [
      { kind: 'train', of: ({ accuracy }) => accuracy },
      { kind: 'val', of: ({ valAccuracy }) => valAccuracy },
    ],
    // Where all were right, too, the axis ends at 100 %.
    scale: (values) =>
      measures.isPart ? percentages(linearScale(Math.min(0.9, ...values), 1, 5)) : linearScale(Math.min(0, ...values), 1, 5),
  },
  {
    name: 'learning rate',
    height: 90,
    lines: [{ kind: 'rate', of: ({ rate }) => rate }],
    scale: (values) => eitherScale(values, 0),
  },
];

/**
 * The curves of a run as one SVG, 720 pixels wide: loss, accuracy and, where it is known, the learning rate above one axis of epochs;
 * training and validation in one chart each. A loss or rate that spans much gets a logarithmic axis. Colours follow the reader's light
 * or dark system.
 *
 * @throws VggError `VGG_INPUT` for a history without epochs
 * @example
 * await writeFile('curves.svg', trainingCurves(head.history, { best: head.best.epoch }));
 */
export function trainingCurves(history: readonly CurvePoint[], { best, unit = 'epoch', targets }: CurvesOptions = {}): string {
  if (history.length === 0) throw new VggError('VGG_INPUT', 'trainingCurves: expected a history of epochs, received an empty one');
  const epochs = wholeScale(history[0]!.epoch, history.at(-1)!.epoch, 10);
  const x = (epoch: number) => LEFT + epochs.at(epoch) * (WIDTH - LEFT - RIGHT);
  const measures = measuresOf(targets);
  const shown = panelsOf(measures).filter((panel) => valuesOf(panel, history).length > 0);
  const parts: string[] = [];
  let top = TOP;
  for (const panel of shown) {
    parts.push(...drawPanel(panel, history, top, x, best));
    top += panel.height + GAP;
  }
  const bottom = top - GAP;
  for (const { value, label } of epochs.ticks) parts.push(text(x(value), bottom + 16, label, 'middle'));
  parts.push(text((LEFT + WIDTH - RIGHT) / 2, bottom + 34, unit, 'middle'));
  const height = bottom + 44;
  const about = `${shown.map(({ name }) => name).join(', ')} over ${history.length} ${unit}s`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" class="vgg-curves" role="img" aria-label="${escapeText(about)}">`,
    `<style>${STYLE}</style>`,
    ...legend(shown, history, best),
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function drawPanel(
  panel: Panel,
  history: readonly CurvePoint[],
  top: number,
  x: (epoch: number) => number,
  best: number | undefined,
): string[] {
  const scale = panel.scale(valuesOf(panel, history));
  const y = (value: number) => top + (1 - scale.at(value)) * panel.height;
  const parts = [text(LEFT, top - 10, `${capitalised(panel.name)}${scale.logarithmic ? ' (logarithmic)' : ''}`, 'start', 'title')];
  for (const { value, label } of scale.ticks) {
    const height = two(y(value));
    parts.push(`<path class="grid" d="M${LEFT} ${height}H${WIDTH - RIGHT}"/>`, text(LEFT - 8, height + 4, label, 'end'));
  }
  if (best !== undefined) parts.push(`<path class="best" d="M${two(x(best))} ${top}V${top + panel.height}"/>`);
  for (const { kind, of } of panel.lines) {
    const points = history.map((point) => [x(point.epoch), finite(of(point))] as const);
    const path = pathOf(
      points.map(([across, value]) => [across, value === undefined ? undefined : y(value)] as const),
      kind === 'rate',
    );
    if (path) parts.push(`<path class="line ${kind}" d="${path}"/>`);
    const single = history.length === 1 ? points[0]?.[1] : undefined;
    if (single !== undefined) parts.push(`<circle class="${kind}" cx="${two(points[0]![0])}" cy="${two(y(single))}" r="3"/>`);
  }
  return parts;
}

/** A line through the points, or in steps; it has a gap where a value is missing or not a number. */
function pathOf(points: readonly (readonly [number, number | undefined])[], inSteps: boolean): string {
  let path = '';
  let isDrawing = false;
  for (const [x, y] of points) {
    if (y !== undefined) path += isDrawing && inSteps ? `H${two(x)}V${two(y)}` : `${isDrawing ? 'L' : 'M'}${two(x)} ${two(y)}`;
    isDrawing = y !== undefined;
  }
  return path;
}

function legend(panels: readonly Panel[], history: readonly CurvePoint[], best: number | undefined): string[] {
  const kinds = (['train', 'val'] as const).filter((kind) =>
    panels.some(({ lines }) => lines.some((line) => line.kind === kind && history.some((point) => finite(line.of(point)) !== undefined))),
  );
  const entries = kinds.map((kind) => ({ mark: `line ${kind}`, name: NAMES[kind] }));
  if (best !== undefined) entries.push({ mark: 'best', name: `kept: ${best}` });
  return entries.flatMap(({ mark, name }, i) => {
    const left = WIDTH - RIGHT - (entries.length - i) * 108;
    return [`<path class="${mark}" d="M${left} 16h22"/>`, text(left + 28, 20, name, 'start')];
  });
}

const finite = (value: number | undefined): number | undefined => (value !== undefined && Number.isFinite(value) ? value : undefined);

function valuesOf({ lines }: Panel, history: readonly CurvePoint[]): number[] {
  return history.flatMap((point) => lines.map(({ of }) => finite(of(point))).filter((value) => value !== undefined));
}

function eitherScale(values: readonly number[], floor: number): Scale {
  const [least, largest] = [Math.min(...values), Math.max(...values)];
  return least > 0 && largest / least >= WIDE ? logScale(least, largest) : linearScale(floor, largest, 5);
}

function percentages(scale: Scale): Scale {
  return { ...scale, ticks: scale.ticks.map(({ value }) => ({ value, label: `${Number((100 * value).toFixed(4))} %` })) };
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end', kind?: string): string {
  return `<text x="${two(x)}" y="${two(y)}" text-anchor="${anchor}"${kind ? ` class="${kind}"` : ''}>${escapeText(content)}</text>`;
}

const STYLE = [
  '.vgg-curves{max-width:100%;height:auto;--ink:#1f2328;--grid:#d9dee3;--train:#0969da;--val:#bc4c00;--rate:#6e7781}',
  '.vgg-curves text{font:12px system-ui,sans-serif;fill:var(--ink)}',
  '.vgg-curves .title{font-weight:600;font-size:13px}',
  '.vgg-curves path{fill:none}',
  '.vgg-curves .grid{stroke:var(--grid)}',
  '.vgg-curves .best{stroke:var(--ink);stroke-dasharray:3 3;opacity:.6}',
  '.vgg-curves .line{stroke-width:2;stroke-linejoin:round}',
  ...(['train', 'val', 'rate'] as const).map((kind) => `.vgg-curves .${kind}{stroke:var(--${kind})}`),
  '@media(prefers-color-scheme:dark){.vgg-curves{--ink:#e6edf3;--grid:#30363d;--train:#58a6ff;--val:#f0883e;--rate:#8b949e}}',
].join('');
