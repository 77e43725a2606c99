import type { Writer } from '../writer.js';
import { caffeWriter } from './caffe/write.js';
import { kerasH5Writer } from './keras/write.js';
import { npzWriter } from './numpy/write.js';
import { onnxWriter } from './onnx/write.js';
import { safetensorsWriter } from './safetensors/write.js';
import { tfjsWriter } from './tfjs/write.js';

/** Every format that can be written. A further one is one file here and one line in this list. */
export const WRITERS: readonly Writer[] = [safetensorsWriter, kerasH5Writer, tfjsWriter, npzWriter, onnxWriter, caffeWriter];

/**
 * The writer of this id or ending, whatever its case, with or without a dot; undefined where there is none.
 * @example
 * findWriter('.safetensors')?.title // 'safetensors'
 */
export function findWriter(idOrEnding: string): Writer | undefined {
  const key = idOrEnding.toLowerCase().replace(/^\./, '');
  return WRITERS.find(({ id }) => id === key) ?? WRITERS.find(({ endings }) => endings.includes(key));
}
