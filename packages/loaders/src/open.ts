import { throwIfAborted, VggError } from '@vgg/errors';
import { latin1 } from './bytes.js';
import type { Format, WeightFile } from './format.js';
import { findFormat, formatTitles } from './formats/index.js';
import { isTar } from './formats/tar.js';
import type { OpenOptions, Source } from './source.js';

export interface OpenWeightsOptions extends OpenOptions {
  /** The formats to try, in this order; all of them by default. */
  formats?: readonly Format[];
}

/** What a format may look at to know its files. */
const HEAD = 4096;

/**
 * Opens a weight file, known by its content and not by its name: the index is read, no values. The source then belongs to the file: it is
 * closed with it, or here if this fails.
 *
 * @throws VggError `VGG_FORMAT` if it is no weight file, `VGG_INTEGRITY` if it is cut or corrupt, `VGG_ABORTED`
 * @example
 * const file = await openWeights(bytesSource(bytes));
 * file.tensors.get('block1_conv1/kernel') // { shape: [3, 3, 3, 64], dtype: 'float32', ... }
 */
export async function openWeights(source: Source, options: OpenWeightsOptions = {}): Promise<WeightFile> {
  const { signal, sha256, formats } = options;
  try {
    throwIfAborted(signal, source.name);
    const head = await source.read(0, Math.min(HEAD, source.size), options);
    const format = formats ? formats.find((candidate) => candidate.match(head, source)) : await findFormat(head, source);
    if (format) return await format.open(source, { ...(signal && { signal }), ...(sha256 && { sha256 }) });
    const known = describeBytes(head);
    if (known) throw new VggError('VGG_FORMAT', `${source.name}: expected a weight file, received ${known}`);
    const titles = (formats?.map(({ title }) => title) ?? formatTitles()).join(', ');
    throw new VggError('VGG_FORMAT', `${source.name}: expected a weight file (${titles}), received bytes of an unknown kind`);
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

/** What other files begin with, as people call them. */
const SIGNATURES: readonly [string, string][] = [
  ['\x1f\x8b', 'a gzip archive; unpack it first'],
  ['BZh', 'a bzip2 archive; unpack it first'],
  ['\xfd7zXZ', 'an xz archive; unpack it first'],
  ['7z\xbc\xaf', 'a 7z archive; unpack it first'],
  ['Rar!', 'a RAR archive; unpack it first'],
  ['\xff\xd8\xff', 'a JPEG picture'],
  ['\x89PNG', 'a PNG picture'],
  ['GIF8', 'a GIF picture'],
  ['RIFF', 'a picture or a sound'],
  ['%PDF', 'a PDF document'],
  ['version https://git-lfs', 'a Git LFS pointer; fetch the file it stands for'],
];

/** With what to do about it; undefined for bytes of no kind that people take for weights. */
function describeBytes(head: Uint8Array): string | undefined {
  if (head.length === 0) return 'an empty file; fetch it again';
  const latin = latin1(head.subarray(0, 32));
  const known = SIGNATURES.find(([signature]) => latin.startsWith(signature));
  if (known) return known[1];
  if (isTar(latin1(head))) return 'a tar archive; unpack it first';
  if (head.every((byte) => byte >= 0x20 || (byte >= 9 && byte <= 13))) {
    const text = new TextDecoder().decode(head).trim();
    if (/^<(!doctype|html)/i.test(text)) return 'a web page; is the address right?';
    if (/^<\?xml/.test(text)) return 'XML, such as a server sends for an error; is the address right?';
    if (text.startsWith('{') || text.startsWith('[')) return 'JSON that names no weights; is it the model.json of the weights?';
    return `text (${JSON.stringify(text.slice(0, 40))}); is it the right file?`;
  }
  return undefined;
}
