import { extname } from 'node:path';
import { UsageError } from '../exit.js';
import { jsonlWriter } from './jsonl.js';
import { npyWriter } from './npy.js';
import { safetensorsWriter } from './safetensors.js';
import type { FeatureWriter } from './writer.js';

const WRITERS: Record<string, (target: string, layers: readonly string[], about: Readonly<Record<string, string>>) => FeatureWriter> = {
  '.npy': npyWriter,
  '.safetensors': (target, _, about) => safetensorsWriter(target, about),
  '.jsonl': (target) => jsonlWriter(target),
};

/** Refuses an `--out` of an unknown kind, before anything is computed. */
export function checkOut(target: string): void {
  if (!(extname(target).toLowerCase() in WRITERS)) {
    throw new UsageError(`vgg extract --out: expected a file name ending in ${Object.keys(WRITERS).join(', ')}, received "${target}"`);
  }
}

/** The writer of a file by its ending; `about` is kept where the format has a place for it. */
export function featureWriter(target: string, layers: readonly string[], about: Readonly<Record<string, string>>): FeatureWriter {
  return WRITERS[extname(target).toLowerCase()](target, layers, about);
}
