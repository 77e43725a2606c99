import { safetensorsHeader } from '@vgg/loaders';
import { bytesOf, type FeatureWriter, fitter, PendingFile } from './writer.js';

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
      const layers = [...spools].map(([layer, { cell, rows }]) => ({ name: layer, shape: [rows, ...cell] }));
      whole = await PendingFile.create(target);
      await whole.append(safetensorsHeader(layers, { ...about, images: JSON.stringify(images) }));
      for (const { file } of spools.values()) {
        for await (const piece of file.read()) await whole.append(piece);
        await file.abandon();
      }
      await whole.finish();
      return layers.map(({ name, shape }) => ({ layer: name, shape, file: target }));
    },
    abandon,
  };
}
