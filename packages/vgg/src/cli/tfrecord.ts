import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '@vgg/errors';
import { isPlainName } from '@vgg/loaders';
import { openDataset } from '../data/dataset.js';
import { epochOrder } from '../data/order.js';
import { decodeExample, type Feature } from '../data/tfrecord/example.js';
import { datasetExamples } from '../data/tfrecord/from-dataset.js';
import { pictureOf } from '../data/tfrecord/picture.js';
import { readTfRecords } from '../data/tfrecord/read.js';
import { shardName, writeTfRecordShards, writeTfRecords } from '../data/tfrecord/write.js';
import { inspect } from '../pictures/encoded.js';
import type { RawImage } from '../pictures/raw.js';
import type { Context, Result } from './command.js';
import { EXIT } from './exit.js';
import { exitFor, type Failure, failedText, failure, warnOfSkipped } from './pictures.js';
import { bytes, facts, plural, printable, some, table } from './text.js';

/** The three verbs of `vgg tfrecord`. */

interface CreateOptions {
  readonly size: number | undefined;
  readonly raw: boolean;
  readonly gzip: boolean;
  readonly shards: number | undefined;
  readonly shuffle: boolean;
  readonly classes: readonly string[] | undefined;
}

export async function create(from: string, out: string, settings: CreateOptions, context: Context): Promise<Result> {
  const { size = 32, raw, gzip, shards = 1, shuffle, classes } = settings;
  const { signal, onProgress, options, warn } = context;
  const dataset = await openDataset(from, { signal, ...(classes && { classes }) });
  warnOfSkipped(dataset.skipped, warn);
  const failed: Failure[] = [];
  const count = dataset.examples.length;
  const order = shuffle ? epochOrder(count, { seed: options.seed, epoch: 0 }) : Int32Array.from({ length: count }, (_, i) => i);
  let read = 0;
  const onFailed = (name: string, error: Parameters<typeof failure>[1]) => void failed.push(failure(name, error));
  async function* part(index: number) {
    const own = order.subarray(Math.floor((index * count) / shards), Math.floor(((index + 1) * count) / shards));
    for await (const example of datasetExamples(dataset, { form: raw ? 'raw' : 'encoded', size, order: own, onFailed, signal })) {
      onProgress({ stage: 'records', loaded: ++read + failed.length, total: count });
      yield example;
    }
    if (read === 0 && index === shards - 1) exitFor(0, failed);
  }
  const writing = { compression: gzip ? 'gzip' : 'none', signal, makeFolder: true } as const;
  const parts = Array.from({ length: shards }, (_, i) => part(i));
  const records = shards === 1 ? await writeTfRecords(out, parts[0]!, writing) : await writeTfRecordShards(out, parts, writing);
  const files = shards === 1 ? [out] : parts.map((_, i) => shardName(out, i, shards));
  const form = raw ? `raw, ${size} x ${size} x 3 bytes` : 'encoded';
  return {
    json: {
      files,
      records,
      form: raw ? 'raw' : 'encoded',
      ...(raw && { size }),
      compression: writing.compression,
      classes: dataset.classes,
      skipped: dataset.skipped,
      failed,
    },
    text: () =>
      [
        facts([
          ['written', `${some(files, 3)}: ${plural(records, 'record')}, ${form}${gzip ? ', gzip' : ''}`],
          [
            'labels',
            some(
              dataset.classes.map((name, label) => `${label} ${printable(name)}`),
              12,
            ),
          ],
        ]),
        ...(failed.length > 0 ? ['', failedText(failed)] : []),
      ].join('\n'),
    exit: exitFor(records, failed),
  };
}

/** What is known of one feature over all records. */
interface Column {
  type: 'bytes' | 'float' | 'int64';
  records: number;
  least: number;
  most: number;
}

export async function list(file: string, { signal, onProgress }: Context): Promise<Result> {
  const columns = new Map<string, Column>();
  const classes = new Map<string, number>();
  let records = 0;
  let size = 0;
  for await (const { index, data } of readTfRecords(file, { signal })) {
    const name = `${file}#${index}`;
    const features = decodeExample(data, name);
    for (const [key, feature] of features) note(columns, key, feature);
    const { label, text } = features.size > 0 ? labelOf(features, name) : {};
    const shown = label === undefined && text === undefined ? undefined : [label, text].filter((part) => part !== undefined).join(' ');
    if (shown !== undefined) classes.set(shown, (classes.get(shown) ?? 0) + 1);
    records++;
    size += data.length;
    if (records % 1000 === 0) onProgress({ stage: 'records', loaded: records });
  }
  const features = [...columns].map(([name, column]) => ({ name, ...column }));
  const counts = [...classes].map(([name, count]) => ({ class: name, records: count }));
  return {
    json: { file, records, bytes: size, features, classes: counts },
    text: () => {
      const rows = features.map(({ name, type, records: held, least, most }) => [
        printable(name).slice(0, 60),
        type,
        String(held),
        least === most ? String(least) : `${least}..${most}`,
      ]);
      const shown = counts.slice(0, 20).map(({ class: name, records: held }) => [printable(name).slice(0, 60), String(held)]);
      return [
        facts([['records', `${plural(records, 'record')}, ${bytes(size)}, all checksums agree`]]),
        ...(rows.length > 0 ? ['', table(['feature', 'type', 'records', 'length'], rows, ['records', 'length'])] : []),
        ...(shown.length > 0 ? ['', table(['class', 'records'], shown, ['records'])] : []),
        ...(counts.length > shown.length ? [`and ${plural(counts.length - shown.length, 'more class', 'more classes')}`] : []),
      ].join('\n');
    },
  };
}

/** A record that shows nothing has no class either. */
function labelOf(features: ReadonlyMap<string, Feature>, name: string): { label?: number | undefined; text?: string | undefined } {
  try {
    return pictureOf(features, name);
  } catch {
    return {};
  }
}

/** The length of a feature: how many numbers, or bytes of the first value. */
function note(columns: Map<string, Column>, key: string, { bytesList, floatList, int64List }: Feature): void {
  const type = bytesList ? 'bytes' : floatList ? 'float' : 'int64';
  const length = bytesList ? (bytesList[0]?.length ?? 0) : (floatList ?? int64List).length;
  const known = columns.get(key);
  if (!known) columns.set(key, { type, records: 1, least: length, most: length });
  else {
    known.records++;
    known.least = Math.min(known.least, length);
    known.most = Math.max(known.most, length);
  }
}

export async function extract(file: string, folder: string, { signal, onProgress }: Context): Promise<Result> {
  const failed: Failure[] = [];
  const counts = new Map<string, number>();
  let done = 0;
  for await (const { index, data } of readTfRecords(file, { signal })) {
    const name = `${file}#${index}`;
    throwIfAborted(signal, name);
    try {
      const { image, label, text } = pictureOf(decodeExample(data, name), name);
      const own = folderFor(label, text);
      const { suffix, content } = await asFile(image, name);
      if (!counts.has(own)) await mkdir(join(folder, own), { recursive: true });
      await writeFile(join(folder, own, `${String(index).padStart(6, '0')}.${suffix}`), content);
      counts.set(own, (counts.get(own) ?? 0) + 1);
      onProgress({ stage: 'records', loaded: ++done, item: name });
    } catch (error) {
      if (!(error instanceof Error && error.name === 'VggError')) throw error;
      failed.push(failure(name, error as Parameters<typeof failure>[1]));
    }
  }
  const classes = [...counts].map(([name, pictures]) => ({ class: name, pictures })).sort((a, b) => (a.class < b.class ? -1 : 1));
  const exit = done === 0 && failed.length === 0 ? EXIT.done : exitFor(done, failed);
  return {
    json: { folder, pictures: done, classes, failed },
    text: () =>
      [
        `${folder}: ${plural(done, 'picture')} in ${plural(classes.length, 'class folder')} (${some(classes.map(({ class: name }) => printable(name)))})`,
        ...(failed.length > 0 ? ['', failedText(failed)] : []),
      ].join('\n'),
    exit,
  };
}

/** A folder's name: the class's text where that is a plain name, else its number. A stranger chose the text. */
function folderFor(label: number | undefined, text: string | undefined): string {
  if (text !== undefined && isPlainName(text) && !text.startsWith('.')) return text;
  return label === undefined ? 'unlabelled' : String(label);
}

const SUFFIXES = { JPEG: 'jpg', PNG: 'png', GIF: 'gif', WebP: 'webp', AVIF: 'avif' } as const;

/** Encoded pictures as they are, pixels as PNG. */
async function asFile(image: Uint8Array | RawImage, name: string): Promise<{ suffix: string; content: Uint8Array }> {
  if (image instanceof Uint8Array) return { suffix: SUFFIXES[inspect(image, { name }).format], content: image };
  const { width, height, channels = 3, data } = image;
  const { default: sharp } = await import('sharp');
  return {
    suffix: 'png',
    content: await sharp(data as Uint8Array, { raw: { width, height, channels } })
      .png()
      .toBuffer(),
  };
}
