import { VggError } from '@vgg/errors';
import type { ReadOptions, Source } from '@vgg/loaders';
import type { ImageInput } from '../pictures/images.js';
import { parseCsv } from './csv.js';
import { byNumberOrName, type Dataset } from './example.js';

/** Some million pictures. */
const MAX_BYTES = 2 ** 28;
/** The columns, or fields, that have the picture and its class, in lower case. */
const IMAGE_FIELDS = ['image', 'path', 'file', 'filename', 'file_name', 'filepath', 'url'];
const LABEL_FIELDS = ['label', 'class', 'category', 'class_name', 'classname', 'target'];

/** A picture as a list has it. */
interface Entry {
  readonly path: string;
  readonly label: string;
  readonly line: number;
}

/**
 * The pictures of a file list: lines `path label` (`.txt`), columns with a header (`.csv`, `.tsv`) or objects `{ image, label }` (`.jsonl`).
 * Classes are in the order of their names, or of their values where all are numbers; pictures keep the list's order.
 *
 * @param locate what a path of the list stands for
 * @throws VggError `VGG_DATASET` for a line without a picture or class, and for an empty list
 */
export async function openManifest(
  source: Source,
  locate: (path: string, line: number) => ImageInput,
  options: ReadOptions = {},
): Promise<Dataset> {
  const { name: who } = source;
  if (source.size > MAX_BYTES)
    throw new VggError('VGG_DATASET', `${who}: expected a file list of at most ${MAX_BYTES} bytes, received ${source.size}`);
  const text = new TextDecoder().decode(await source.read(0, source.size, options));
  const entries = parse(text, who);
  if (entries.length === 0)
    throw new VggError('VGG_DATASET', `${who}: expected a list of pictures and their classes, received an empty one`);
  const classes = [...new Set(entries.map(({ label }) => label))].sort(byNumberOrName);
  const places = new Map(classes.map((name, i) => [name, i]));
  const examples = entries.map(({ path, label, line }) => ({ image: locate(path, line), label: places.get(label)!, name: path }));
  return { classes, examples, skipped: [] };
}

function parse(text: string, who: string): Entry[] {
  if (/\.(csv|tsv)$/i.test(who)) return fromColumns(text, who);
  const lines = text.split(/\r\n|[\r\n]/).map((content, i) => ({ content: content.trim(), line: i + 1 }));
  const filled = lines.filter(({ content }) => content !== '');
  if (/\.(jsonl|ndjson)$/i.test(who)) return filled.map(({ content, line }) => fromJson(content, line, who));
  return filled
    .filter(({ content }) => !content.startsWith('#'))
    .map(({ content, line }) => {
      // The path may have spaces, the class has none.
      const [, path, label] = /^(.*\S)\s+(\S+)$/.exec(content) ?? [];
      if (path === undefined || label === undefined) throw wrong(who, line, 'a path and a class with a space between', content);
      return { path, label, line };
    });
}

function fromColumns(text: string, who: string): Entry[] {
  const [header, ...rows] = parseCsv(text, /\.tsv$/i.test(who) ? '\t' : ',');
  if (!header) return [];
  const titles = header.cells.map((title) => title.trim().toLowerCase());
  const [image, label] = [IMAGE_FIELDS, LABEL_FIELDS].map((known) => titles.findIndex((title) => known.includes(title))) as [
    number,
    number,
  ];
  if (image < 0 || label < 0) throw wrong(who, header.line, 'a header with the columns image and label', header.cells.join(','));
  return rows.map(({ cells, line }) => {
    const [path, name] = [cells[image]?.trim(), cells[label]?.trim()];
    if (!path || !name) throw wrong(who, line, 'a picture and a class', cells.join(','));
    return { path, label: name, line };
  });
}

function fromJson(content: string, line: number, who: string): Entry {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw wrong(who, line, 'a JSON object', content);
  }
  const fields = new Map(
    Object.entries(typeof value === 'object' && value !== null ? value : {}).map(([key, field]) => [key.toLowerCase(), field]),
  );
  const [path, label] = [IMAGE_FIELDS, LABEL_FIELDS].map((known) =>
    known.map((key) => fields.get(key)).find((field) => field !== undefined),
  );
  const isLabel = (typeof label === 'string' && label !== '') || Number.isFinite(label);
  if (typeof path !== 'string' || path === '' || !isLabel) throw wrong(who, line, '{ "image": path, "label": class }', content);
  return { path, label: String(label), line };
}

function wrong(who: string, line: number, expected: string, received: string): VggError {
  return new VggError('VGG_DATASET', `${who}, line ${line}: expected ${expected}, received ${JSON.stringify(received.slice(0, 80))}`);
}

/**
 * Where a path of a list lies that was itself opened from a path or URL: beside the list, unless it is absolute. A list from the web names
 * only addresses.
 *
 * @throws VggError `VGG_DATASET` for a file of this machine in a list from the web, and for relative paths in a list without a place
 */
export function beside(list: string | URL | undefined, who: string): (path: string, line: number) => string {
  const base = String(list ?? '');
  const isWeb = /^https?:/i.test(base);
  return (path, line) => {
    if (/^https?:/i.test(path)) return path;
    if (list === undefined) throw wrong(who, line, 'an http(s) address, since the list has no folder; pass the pictures beside it', path);
    if (isWeb || /^file:/i.test(base)) {
      // A "#" or "?" in a file's name is no part of an address.
      const found = URL.parse?.(escaped(path), base) ?? new URL(escaped(path), base);
      if (isWeb && !/^https?:$/.test(found.protocol)) throw wrong(who, line, 'an http(s) address in a list from the web', path);
      return found.href;
    }
    if (/^([/\\]|[a-z]:[/\\]|file:)/i.test(path)) return path;
    return base.slice(0, Math.max(base.lastIndexOf('/'), base.lastIndexOf('\\')) + 1) + path;
  };
}

const escaped = (path: string): string => path.replaceAll('%', '%25').replaceAll('#', '%23').replaceAll('?', '%3F');
