import { extname } from 'node:path';
import { npyHeader } from '@vgg/loaders';
import { bytesOf, type FeatureWriter, fitter, PendingFile, type Row } from './writer.js';

interface Column {
  readonly file: PendingFile;
  readonly cell: readonly number[];
  readonly header: number;
  rows: number;
}

/** A header with room for any number of rows keeps its length, so it can be written again at the end. */
const MOST_ROWS = Number.MAX_SAFE_INTEGER;

/** NumPy's `.npy`, a file a layer: [pictures, ...map]; several layers go to `F.LAYER.npy`. */
export function npyWriter(target: string, layers: readonly string[]): FeatureWriter {
  const columns = new Map<string, Column>();
  const check = fitter();
  const fileOf = (layer: string) => (layers.length === 1 ? target : `${target.slice(0, -extname(target).length)}.${layer}.npy`);
  return {
    async write(rows) {
      check(rows, target);
      for (const row of rows) {
        const column = columns.get(row.layer) ?? (await begin(fileOf(row.layer), row));
        columns.set(row.layer, column);
        await column.file.append(bytesOf(row));
        column.rows++;
      }
    },
    async finish() {
      for (const { file, cell, header, rows } of columns.values()) await file.writeAt(0, padded([rows, ...cell], header));
      for (const { file } of columns.values()) await file.finish();
      return [...columns].map(([layer, { file, cell, rows }]) => ({ layer, shape: [rows, ...cell], file: file.target }));
    },
    async abandon() {
      for (const { file } of columns.values()) await file.abandon();
    },
  };
}

async function begin(target: string, { shape }: Row): Promise<Column> {
  const header = npyHeader([MOST_ROWS, ...shape]);
  const file = await PendingFile.create(target);
  await file.append(header);
  return { file, cell: shape, header: header.length, rows: 0 };
}

/** The header of a shape, spread to a longer one's length: the format pads with spaces before its last newline. */
function padded(shape: readonly number[], length: number): Uint8Array {
  const header = npyHeader(shape);
  const out = new Uint8Array(length).fill(0x20);
  out.set(header.subarray(0, -1));
  out[8] = (length - 10) & 255;
  out[9] = (length - 10) >> 8;
  out[length - 1] = 0x0a;
  return out;
}
