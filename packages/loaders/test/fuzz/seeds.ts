import { bytesSource, filesSource, type Source } from '../../src/index.js';

/** Small sound files of one format, which mutations begin with. */
export interface Seeds {
  readonly format: string;
  /** Names of fixtures. */
  readonly fixtures: readonly string[];
  /** How a mutated file is opened: by itself, or with its companions beside it. */
  source(bytes: Uint8Array): Source;
}

const alone = (name: string) => (bytes: Uint8Array) => bytesSource(bytes, name);

/** With a file of zeros for each companion that it may name. */
const beside = (name: string, companions: Readonly<Record<string, number>>) => (bytes: Uint8Array) =>
  filesSource([
    new File([bytes as Uint8Array<ArrayBuffer>], name),
    ...Object.entries(companions).map(([other, length]) => new File([new Uint8Array(length)], other)),
  ]);

export const SEEDS: readonly Seeds[] = [
  { format: 'safetensors', fixtures: ['torch-plain.safetensors', 'torch-half.safetensors'], source: alone('model.safetensors') },
  { format: 'tfjs', fixtures: ['tfjs/model.json'], source: beside('model.json', { s1: 200, s2: 18 }) },
  {
    format: 'hdf5',
    fixtures: ['keras-published.h5', 'keras3.weights.h5', 'earliest.h5', 'latest.h5'],
    source: alone('model.h5'),
  },
];
