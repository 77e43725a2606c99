import { jsonText } from '../json.js';
import { type FeatureWriter, PendingFile } from './writer.js';

/** One JSON document a line: `{ image, layer, shape, data }`; nothing of it is kept in memory. */
export function jsonlWriter(target: string): FeatureWriter {
  let file: PendingFile | undefined;
  const shapes = new Map<string, readonly number[]>();
  return {
    async write(rows) {
      file ??= await PendingFile.create(target);
      for (const { image, layer, shape, data } of rows) {
        await file.append(Buffer.from(`${[...jsonText({ image, layer, shape, data })].join('')}\n`));
        if (!shapes.has(layer)) shapes.set(layer, shape);
      }
    },
    async finish() {
      await file?.finish();
      return [...shapes].map(([layer, shape]) => ({ layer, shape, file: target }));
    },
    abandon: async () => file?.abandon(),
  };
}
