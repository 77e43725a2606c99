import type { Naming, WeightFile } from '@vgg/loaders';
import type { Network } from '../network/plan.js';
import { PREPROCESSINGS, type Preprocessing, type PreprocessingName, parsePreprocessing } from '../pictures/preprocessing.js';
import { METADATA } from './metadata.js';
import type { PublishedSet } from './published-sets.js';

interface From {
  readonly file: WeightFile;
  readonly network: Network;
  readonly naming: Naming;
  readonly set: PublishedSet | undefined;
  readonly given: Preprocessing | PreprocessingName | undefined;
}

/**
 * The weights know their preprocessing: by what the file says, by its published set, or by the program that wrote it and the names that
 * it uses.
 */
export function preprocessingOf({ file, network, naming, set, given }: From): Preprocessing {
  const stored = file.metadata.get(METADATA.preprocessing);
  const said = given ?? stored ?? set?.preprocessing;
  return said === undefined ? fitting(parsePreprocessing(guess(file, network, naming)), network) : parsePreprocessing(said);
}

/** For dense layers that take another size than the 224 pixels of ImageNet pictures are squashed to it: nothing tells of a crop. */
function fitting(preset: Preprocessing, { size, layers }: Network): Preprocessing {
  const { crop, resize, ...rest } = preset;
  const isFlat = layers.some(({ kind }) => kind === 'flatten');
  if (!isFlat || resize.mode === 'none' || (crop ?? resize.size) === size) return preset;
  return { ...rest, resize: { mode: 'squash', size, filter: resize.filter } };
}

const BY_NAMING: Partial<Record<Naming, PreprocessingName>> = {
  torch: 'torchvision',
  slim: 'tf-slim',
  frossard: 'frossard',
};

/** The programs by their formats. Canonical names in PyTorch's own are those of networks taken over from Caffe. */
const BY_FORMAT: readonly (readonly [format: RegExp, PreprocessingName])[] = [
  [/^(?:caffe|prototxt)/, 'caffe'],
  [/^(?:npy|pickle|torch)/, 'caffe'],
  [/^onnx/, 'torchvision'],
];

function guess(file: WeightFile, { plan }: Network, naming: Naming): Preprocessing | PreprocessingName {
  if (plan.colour) return 'adain';
  if (file.format.startsWith('matlab')) return matconvnet(file);
  if (hasReducedFc(file)) return 'caffe';
  const byNaming = BY_NAMING[naming];
  if (byNaming) return byNaming;
  // Names of one's own in a file of PyTorch are of a network made in it.
  if (naming === 'order' && /^(?:torch|onnx)/.test(file.format)) return 'torchvision';
  return BY_FORMAT.find(([format]) => format.test(file.format))?.[1] ?? 'keras';
}

/** The fc6 that DeepLab and SSD cut down to a 3x3 convolution, out of Oxford's weights, whichever program has them now. */
function hasReducedFc({ tensors }: WeightFile): boolean {
  return [...tensors.values()].some(({ shape }) => String(shape) === '1024,512,3,3' || String(shape) === '3,3,512,1024');
}

/** With the mean that the file itself has, where it has one. */
function matconvnet(file: WeightFile): Preprocessing {
  const preset = PREPROCESSINGS.matconvnet;
  try {
    return parsePreprocessing({ ...preset, mean: JSON.parse(file.metadata.get('averageImage') ?? 'null') ?? preset.mean });
  } catch {
    return preset;
  }
}
