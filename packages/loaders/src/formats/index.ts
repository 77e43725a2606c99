import { latin1 } from '../bytes.js';
import type { Format } from '../format.js';
import type { Source } from '../source.js';
import { safetensors } from './safetensors/read.js';
import { isTar } from './tar.js';
import { tfjsLayers } from './tfjs/read.js';

/** Formats whose files begin alike. Their readers are loaded when a file may be one of theirs, so that a page downloads what it reads. */
interface Family {
  /** For people. */
  readonly titles: readonly string[];
  /** Whether a file that begins so may be one of them, by its first bytes as Latin-1 text; the formats themselves decide. */
  mayBe(head: string): boolean;
  load(): Promise<readonly Format[]>;
}

const HDF5 = '\x89HDF\r\n\x1a\n';

/**
 * Every format that can be read; a further one is a file here and a line in this list. Those that a signature tells come first, and then
 * those that are known by their first fields.
 */
const FAMILIES: readonly Family[] = [
  {
    titles: ['Keras HDF5', 'MATLAB 7.3'],
    // MATLAB puts a block of its own in front; a tar archive does so too, and is none.
    mayBe: (head) => head.includes(HDF5) && !isTar(head),
    load: async () =>
      Promise.all([import('./matlab/matlab73.js').then((it) => it.matlab73), import('./keras/h5.js').then((it) => it.kerasH5)]),
  },
  { titles: ['safetensors'], mayBe: (head) => head[8] === '{', load: async () => [safetensors] },
  { titles: ['TensorFlow.js model'], mayBe: (head) => head.includes('{'), load: async () => [tfjsLayers] },
  {
    titles: ['PyTorch', 'Keras .keras', 'NumPy .npz'],
    mayBe: (head) => head.startsWith('PK'),
    load: async () => [(await import('./zip-archive.js')).zipArchive],
  },
  {
    titles: ['NumPy .npy'],
    mayBe: (head) => head.startsWith('\x93NUMPY'),
    load: async () => [(await import('./numpy/npy-file.js')).npy],
  },
  {
    titles: ['MATLAB 5'],
    mayBe: (head) => ['IM', 'MI'].includes(head.slice(126, 128)),
    load: async () => [(await import('./matlab/matlab5.js')).matlab5],
  },
  {
    titles: ['PyTorch before 1.6', 'pickled NumPy arrays'],
    mayBe: (head) => /^[\x80(]/.test(head) || isTar(head),
    load: async () =>
      Promise.all([
        import('./torch/legacy.js').then((it) => it.torchLegacy),
        import('./pickle/pickled-arrays.js').then((it) => it.pickledArrays),
      ]),
  },
  {
    titles: ['TensorFlow checkpoint'],
    mayBe: () => true,
    load: async () => [(await import('./tf-checkpoint/index.js')).tfCheckpoint],
  },
  { titles: ['ONNX'], mayBe: () => true, load: async () => [(await import('./onnx/index.js')).onnx] },
  {
    titles: ['Caffe model', 'prototxt', 'mean image'],
    mayBe: () => true,
    load: async () =>
      Promise.all([
        import('./caffe/index.js').then((it) => it.caffe),
        import('./caffe/prototxt.js').then((it) => it.prototxt),
        import('./caffe/mean.js').then((it) => it.meanFile),
      ]),
  },
];

/** What can be read, for people. */
export const formatTitles = (): string[] => FAMILIES.flatMap(({ titles }) => [...titles]);

/** The format of a file that begins with these bytes; undefined where there is none. */
export async function findFormat(head: Uint8Array, source: Source): Promise<Format | undefined> {
  const text = latin1(head);
  for (const { mayBe, load } of FAMILIES) {
    const found = mayBe(text) ? (await load()).find((format) => format.match(head, source)) : undefined;
    if (found) return found;
  }
  return undefined;
}
