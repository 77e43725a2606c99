import { bytesOf, type FeatureWriter, fitter, PendingFile } from './writer.js';

/** The data of a safetensors file starts at a multiple of this, so that it can be mapped in place. */
const ALIGNMENT = 8;

/**
 * One safetensors file: a tensor a layer, [pictures, ...map], and the pictures' names in its metadata (`images`, a JSON list).
 * The header comes first in this format and is known last, so layers wait in files of their own and are put together at the end.
 */
export function safetensorsWriter(target: string, about: Readonly<Record<string, string>>): FeatureWriter {
  const spools = new Map<string, { file: PendingFile; cell: readonly number[]; rows: number }>();
  const images: string[] = [];
  const check = fitter();
  let whole: PendingFile | undefined;
  const abandon = async () => {
    for (const { file } of spools.values()) await file.abandon();
    await whole?.abandon();
  };
  return {
    async write(rows) {
      check(rows, target);
      for (const row of rows) {
        const spool = spools.get(row.layer) ?? { file: await PendingFile.create(`${target}.${row.layer}`), cell: row.shape, rows: 0 };
        spools.set(row.layer, spool);
        await spool.file.append(bytesOf(row));
        spool.rows++;
      }
      images.push(rows[0].image);
    },
    async finish() {
      const header: Record<string, unknown> = { __metadata__: { ...about, images: JSON.stringify(images) } };
      let offset = 0;
      for (const [layer, { file, cell, rows }] of spools) {
        header[layer] = { dtype: 'F32', shape: [rows, ...cell], data_offsets: [offset, offset + file.size] };
        offset += file.size;
      }
      whole = await PendingFile.create(target);
      await whole.append(headerBytes(header));
      for (const { file } of spools.values()) {
        for await (const piece of file.read()) await whole.append(piece);
        await file.abandon();
      }
      await whole.finish();
      return [...spools].map(([layer, { cell, rows }]) => ({ layer, shape: [rows, ...cell], file: target }));
    },
    abandon,
  };
}

function headerBytes(header: object): Uint8Array {
  const json = Buffer.from(JSON.stringify(header));
  const length = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}
