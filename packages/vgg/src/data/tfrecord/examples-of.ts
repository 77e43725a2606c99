import { isVggError, messageOf, throwIfAborted, VggError } from '@vgg/errors';
import { io } from '#io';
import { inspect, maxBytes } from '../../pictures/encoded.js';
import type { ImageInput } from '../../pictures/images.js';
import { readCommon } from '../../pictures/input.js';
import { resize } from '../../pictures/resample.js';
import type { Dataset, Example } from '../example.js';
import { ordered } from '../ordered.js';
import type { ExampleInput } from './example.js';

import type { DatasetExamplesOptions } from './from-dataset.js';

/** {@link datasetExamples} */
export async function* examplesOf(dataset: Dataset, options: DatasetExamplesOptions): AsyncGenerator<ExampleInput, void, undefined> {
  const { form = 'encoded', size = 32, order, concurrency = 8, onFailed, signal } = options;
  if (form !== 'encoded' && form !== 'raw')
    throw new VggError('VGG_OPTION', `datasetExamples: expected encoded or raw as form, received ${form}`);
  const { classes, examples } = dataset;
  const read = async (place: number, stop: AbortSignal) => {
    const example = examples[order ? order[place]! : place]!;
    try {
      return form === 'raw' ? await rawExample(example, size, stop) : await encodedExample(example, classes[example.label]!, stop);
    } catch (cause) {
      throwIfAborted(stop, 'datasetExamples');
      const { name } = example;
      const error = isVggError(cause) ? cause : new VggError('VGG_INPUT', `${name}: ${messageOf(cause)}`, { cause });
      if (!onFailed) throw error;
      onFailed(name, error);
      return undefined;
    }
  };
  const count = order ? order.length : examples.length;
  for await (const example of ordered(count, read, { concurrency, ahead: 4 * concurrency, ...(signal && { signal }) }))
    if (example) yield example;
}

async function rawExample({ image, label, name }: Example, size: number, signal: AbortSignal): Promise<ExampleInput> {
  const picture = resize(await io.decode(image, { name, signal }), size, size, 'bicubic');
  return { label: { int64List: [label] }, data: { bytesList: [picture.data] } };
}

async function encodedExample({ image, label, name }: Example, text: string, signal: AbortSignal): Promise<ExampleInput> {
  const bytes = await encodedBytes(image, { name, signal });
  const { format, width, height } = inspect(bytes, { name });
  return {
    'image/encoded': { bytesList: [bytes] },
    'image/format': { bytesList: [format] },
    'image/height': { int64List: [height] },
    'image/width': { int64List: [width] },
    'image/filename': { bytesList: [name] },
    'image/class/label': { int64List: [label] },
    'image/class/text': { bytesList: [text] },
  };
}

/** A picture's file as it is. */
async function encodedBytes(image: ImageInput, options: { name: string; signal: AbortSignal }): Promise<Uint8Array> {
  const { name, signal } = options;
  if (typeof image === 'string' || image instanceof URL) {
    const source = await io.openSource(image, { signal });
    try {
      const most = maxBytes({});
      if (source.size > most)
        throw new VggError('VGG_INPUT', `${name}: expected a picture of at most ${most} bytes, received ${source.size}`);
      return await source.read(0, source.size, { signal });
    } finally {
      await source.close?.();
    }
  }
  const bytes = await readCommon(image, options);
  if (bytes instanceof Uint8Array) return bytes;
  throw new VggError('VGG_INPUT', `${name}: expected the bytes of a picture file for the encoded form, received pixels; pass form: 'raw'`);
}
