import { VggError } from '@vgg/errors';
import type { Format, WeightFile } from '../format.js';
import type { ReadOptions, Source } from '../source.js';
import { KERAS_WEIGHTS, openKerasZip } from './keras/zip.js';
import { openNpz } from './numpy/npz.js';
import { isTorchZip, openTorchZip } from './torch/zip.js';
import { openZip, type Zip } from './zip/index.js';

/** The formats that are zip archives, told apart by their members: PyTorch's .pth, Keras 3's .keras and NumPy's .npz. */
export const zipArchive: Format = {
  id: 'zip',
  title: 'zip archive (PyTorch .pth, .keras, .npz)',
  match: (head) => head[0] === 0x50 && head[1] === 0x4b && head[2] === 3 && head[3] === 4,
  open: openArchive,
};

async function openArchive(source: Source, options: ReadOptions = {}): Promise<WeightFile> {
  const zip = await openZip(source, options);
  const names = [...zip.entries.keys()];
  if (isTorchZip(zip)) return openTorchZip(zip, source, options);
  if (zip.entries.has(KERAS_WEIGHTS)) return openKerasZip(zip, source, options);
  if (names.some((name) => name.endsWith('.npy'))) return openNpz(zip, source, options);
  throw new VggError(
    'VGG_FORMAT',
    `${zip.who}: expected a zip archive that PyTorch, Keras or NumPy wrote, received one of ${describe(zip)}`,
  );
}

const WEIGHTS = /\.(h5|hdf5|keras|pth|pt|caffemodel|npz|mat|onnx|safetensors|pb|ckpt|index)$|(^|\/)model\.json$/i;
const PICTURES = /\.(jpe?g|png|gif|bmp|webp|tiff?)$/i;

/** What is in an archive of another kind, and what to do with it. */
function describe({ entries }: Zip): string {
  const names = [...entries.keys()];
  const weights = names.filter((name) => WEIGHTS.test(name));
  if (weights.length > 0) {
    const more = weights.length > 1 ? ` and ${weights.length - 1} more` : '';
    return `weight files (${weights[0]!.slice(0, 80)}${more}); unpack it and open ${weights.length > 1 ? 'one of them' : 'that'}`;
  }
  const pictures = names.filter((name) => PICTURES.test(name)).length;
  if (pictures > names.length / 2) return `${pictures} pictures; unpack it first, pictures are read from a folder`;
  const shown = names.slice(0, 3).map((name) => name.slice(0, 80));
  return names.length === 0 ? 'no files' : `${names.length} other files (${shown.join(', ')}${names.length > 3 ? ' ...' : ''})`;
}
