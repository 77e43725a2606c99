import type { Format, WeightFile } from '../../format.js';
import type { ReadOptions, Source } from '../../source.js';
import { cachedSource } from '../../sources/cached.js';
import { fieldsOf } from '../protobuf/wire.js';
import { weightFile } from '../tensors.js';
import { blobTensor, readBlob, squeezed } from './blobs.js';

/** A picture of means (.binaryproto), which is one blob by itself: `mean` [channels, height, width], in the order of the network's input (BGR). */
export const meanFile: Format = {
  id: 'caffe-mean',
  title: 'Caffe mean image',
  match(head) {
    // The four sizes, of which the first is that of one picture, and then the values.
    const seen: number[] = [];
    try {
      for (const { number, type, value } of fieldsOf(head, '', true)) {
        if (number === 5) return type === 'bytes' && seen.join() === '1,2,3,4';
        if (type !== 'varint' || (number === 1 && value !== 1)) return false;
        seen.push(number);
      }
    } catch {
      // no message
    }
    return false;
  },
  async open(source: Source, options: ReadOptions = {}): Promise<WeightFile> {
    const cached = cachedSource(source);
    const blob = await readBlob(cached, 0, source.size, source.name, options);
    const tensors = [blobTensor(cached, blob, { name: 'mean', shape: squeezed(blob.shape, 3) })];
    return weightFile({ who: source.name, format: 'caffe-mean', tensors, close: source.close?.bind(source) });
  },
};
