import { VggError } from '@vgg/errors';
import type { WeightFile } from '../../format.js';
import type { ReadOptions, Source } from '../../source.js';
import { weightFile } from '../tensors.js';
import { arrayTensor } from './arrays.js';
import { PLAIN } from './globals.js';
import { unpickle } from './machine.js';
import { NUMPY, NumpyArray, objectsOf } from './numpy.js';
import type { Value } from './values.js';
import { type Leaf, leavesOf } from './walk.js';

/**
 * The pickle behind the header of a `.npy` file of objects, such as the vgg16.npy and vgg19.npy of the TensorFlow ports: a dict by layer of
 * `[weights, biases]` or of `{ weights, biases }`. Its tensors are named `conv1_1.weight` and `conv1_1.bias`; their values stay in the file.
 *
 * @param offset where the pickle begins, behind the header
 * @throws VggError `VGG_FORMAT` if it holds no arrays of numbers, `VGG_INTEGRITY` if it is cut, corrupt, past a limit or asks to run something
 */
export function openObjectNpy(source: Source, offset: number, who: string, options: ReadOptions = {}): Promise<WeightFile> {
  const named: Source = {
    name: who,
    size: source.size,
    read: (at, length, read) => source.read(at, length, read),
    ...(source.readInto && { readInto: (target, at, read) => source.readInto!(target, at, read) }),
    ...(source.close && { close: () => source.close!() }),
  };
  return openArrays(named, offset, 'npy-objects', options);
}

/** Nested dicts and lists of arrays, pickled. */
export async function openArrays(source: Source, offset: number, format: string, options: ReadOptions): Promise<WeightFile> {
  const who = source.name;
  const { value } = await unpickle(source, offset, { ...options, globals: (name) => PLAIN.get(name) ?? NUMPY.get(name) });
  const leaves = leavesOf(unwrapped(value, who), NumpyArray, who, (item) => (isObjects(item) ? objectsOf(item, who) : undefined));
  const numeric = leaves.filter(({ value: { type } }) => type.type);
  if (numeric.length === 0) {
    throw new VggError('VGG_FORMAT', `${who}: expected a pickled dict of NumPy arrays, received one without an array of numbers`);
  }
  const names = tensorNames(numeric);
  return weightFile({
    who,
    format,
    tensors: numeric.map(({ path, value: array }, i) => {
      const name = names[i]!;
      const storedAs = path.join('/');
      return arrayTensor(storedAs === name ? { name } : { name, storedAs }, array, source);
    }),
    close: source.close?.bind(source),
  });
}

/** np.save puts a dict into an array without axes. */
function unwrapped(value: Value, who: string): Value {
  return isObjects(value) && value.shape.length === 0 ? (objectsOf(value, who)[0] ?? null) : value;
}

function isObjects(value: Value): value is NumpyArray {
  return value instanceof NumpyArray && value.type.isObject;
}

const PARTS: ReadonlyMap<string | undefined, string> = new Map([
  ['weights', 'weight'],
  ['biases', 'bias'],
]);
const PAIR: ReadonlyMap<string | undefined, string> = new Map([
  ['0', 'weight'],
  ['1', 'bias'],
]);

/** The names of layers and parts, joined; of two arrays in a list the first, of more axes, is the weight, and the second the bias. */
function tensorNames(leaves: readonly Leaf<NumpyArray>[]): string[] {
  const axesOf = new Map(leaves.map(({ path, value }) => [path.join('/'), value.shape.length]));
  return leaves.map(({ path }) => {
    const last = path.at(-1);
    const list = path.slice(0, -1).join('/');
    const isPair = (axesOf.get(`${list}/0`) ?? 0) > 1 && axesOf.get(`${list}/1`) === 1 && !axesOf.has(`${list}/2`);
    const part = (isPair ? PAIR : PARTS).get(last);
    return (part === undefined ? path : [...path.slice(0, -1), part]).join('.') || 'array';
  });
}
