import { VggError } from '@vgg/errors';
import { type OutputFile, singleType, type WriteRequest, type Writer } from '../../writer.js';
import { type DatasetToWrite, type GroupToWrite, type Hdf5Layout, layOutHdf5 } from '../hdf5/write/file.js';
import type { AttributeToWrite } from '../hdf5/write/messages.js';
import { tensorBytes } from '../tensor-bytes.js';
import { type KerasLayer, kerasModel } from './model.js';

/** What the file says that it was written by: the last version of this layout. */
export const KERAS_VERSION = '2.15.0';
export const KERAS_BACKEND = 'tensorflow';
/** Keras's own limit for a list of names, beyond which it is split: an attribute is one message of at most 64 KB. */
const MAX_NAMES = 64512;

/**
 * Keras's .h5 of a whole model, in the layout of Keras 2: `keras.models.load_model(path)` of Keras 2 and 3 reads it, and so does
 * `load_weights(path)` into a model of the same layers, by their order or (`by_name=True`) by their names. Metadata are attributes of the root.
 */
export const kerasH5Writer: Writer = {
  id: 'h5',
  title: 'Keras HDF5 model',
  endings: ['h5', 'hdf5'],
  dtypes: ['float32', 'float16'],
  write: writeKerasH5,
};

function writeKerasH5(request: WriteRequest): OutputFile[] {
  const { name, metadata = new Map(), signal } = request;
  const dtype = singleType(request, ['float32', 'float16'], 'h5');
  const { layers, config } = kerasModel(request, 'h5');
  const about: [string, AttributeToWrite][] = [
    ['backend', KERAS_BACKEND],
    ['keras_version', KERAS_VERSION],
  ];
  const weights: GroupToWrite = {
    attributes: new Map([
      ...about,
      ...names(
        'layer_names',
        layers.map((layer) => layer.name),
      ),
    ]),
    children: new Map(layers.map((layer) => [layer.name, layerGroup(layer, dtype)])),
  };
  const root: GroupToWrite = {
    attributes: new Map<string, AttributeToWrite>([...metadata, ...about, ['model_config', JSON.stringify(config)]]),
    children: new Map([['model_weights', weights]]),
  };
  const layout = layOutHdf5(root);
  const tensors = layers.flatMap((layer) => layer.weights.map(({ tensor }) => tensor));
  return [{ name, chunks: () => chunks(layout, tensors, dtype, signal) }];
}

/** `block1_conv1` has `block1_conv1/kernel:0` and `block1_conv1/bias:0`, and lists them. */
function layerGroup({ name, weights }: KerasLayer, dtype: 'float32' | 'float16'): GroupToWrite {
  const listed = weights.map((weight) => `${name}/${weight.name}:0`);
  const datasets = weights.map((weight): [string, DatasetToWrite] => [`${weight.name}:0`, { shape: weight.tensor.shape, dtype }]);
  const own: GroupToWrite = { attributes: new Map(), children: new Map(datasets) };
  return { attributes: new Map(names('weight_names', listed)), children: new Map(weights.length > 0 ? [[name, own]] : []) };
}

/** A list of names as an attribute, or as `name0`, `name1` ... */
function names(attribute: string, list: readonly string[]): [string, readonly string[]][] {
  const longest = Math.max(1, ...list.map((name) => new TextEncoder().encode(name).length));
  const most = Math.floor(MAX_NAMES / longest);
  if (most < 1) throw new VggError('VGG_OPTION', `h5: expected names of at most ${MAX_NAMES} bytes, received one of ${longest}`);
  if (list.length <= most) return [[attribute, list]];
  const count = Math.ceil(list.length / most);
  return Array.from({ length: count }, (_, i) => [`${attribute}${i}`, list.slice(i * most, (i + 1) * most)]);
}

async function* chunks(
  { head, datasets, size }: Hdf5Layout,
  tensors: readonly Parameters<typeof tensorBytes>[0][],
  dtype: 'float32' | 'float16',
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  yield head;
  let at = head.length;
  for (const [i, { address, bytes }] of datasets.entries()) {
    if (at < address) yield new Uint8Array(address - at);
    yield* tensorBytes(tensors[i]!, dtype, 'h5', signal);
    at = address + bytes;
  }
  if (at < size) yield new Uint8Array(size - at);
}
