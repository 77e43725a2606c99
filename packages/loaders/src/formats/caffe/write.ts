import { throwIfAborted, VggError } from '@vgg/errors';
import { bytesOf, concat } from '../../bytes.js';
import { countOf } from '../../dtype.js';
import { unorder } from '../../reorder.js';
import { type OutputFile, singleType, type WriteRequest, type Writer } from '../../writer.js';
import { bytesField, bytesHead, varint } from '../protobuf/encode.js';
import { PIECE } from '../tensors.js';
import { encodeMessage } from './binary.js';
import { printComments } from './comments.js';
import { type BlobToWrite, deployLayers, type LayerToWrite, refused, tree } from './deploy.js';
import type { Message } from './message.js';
import { printMessage } from './print.js';
import { LAYER, LAYER_BLOBS, NET } from './schema.js';

/** Protocol Buffers' own readers take no message of 2 GiB. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * NAME.prototxt, the network's text as Caffe runs it, and NAME.caffemodel, the weights, both of the newer form (`layer`): filters
 * [out, in, kh, kw], dense layers [out, in] with their columns in C, H, W order, batch normalisation as BatchNorm and Scale.
 */
export const caffeWriter: Writer = {
  id: 'caffemodel',
  title: 'Caffe model and prototxt',
  endings: ['caffemodel'],
  dtypes: ['float32'],
  write(request: WriteRequest): OutputFile[] {
    singleType(request, ['float32'], 'caffemodel');
    const layers = deployLayers(request);
    const name = request.graph?.name ?? baseOf(request.name);
    const parts = layers.map(layerParts);
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    if (size > MAX_BYTES) throw refused(`a model of at most ${MAX_BYTES} bytes`, `one of ${size}`);
    return [
      { name: `${baseOf(request.name)}.prototxt`, chunks: () => textChunks(name, layers, request) },
      { name: `${baseOf(request.name)}.caffemodel`, chunks: () => modelChunks(name, parts, request) },
    ];
  },
};

const baseOf = (name: string): string => name.replace(/\.(caffemodel|prototxt)$/i, '');

async function* textChunks(name: string, layers: readonly LayerToWrite[], { metadata }: WriteRequest): AsyncGenerator<Uint8Array> {
  const net = printMessage(tree({ name }), NET) + layers.map(({ message, text }) => printLayer(text ?? message)).join('');
  const floors = net.includes('round_mode: FLOOR') ? FLOORS : '';
  yield new TextEncoder().encode(printComments(metadata ?? new Map()) + floors + net);
}

const FLOORS =
  '# round_mode: FLOOR needs a Caffe of 2018 or later; older ones only round up (CEIL), which differs where a side is odd, and OpenCV takes no such text.\n';

const printLayer = (message: Message): string => printMessage({ line: 0, fields: new Map([['layer', [message]]]) }, NET);

/** A layer's bytes, all but the values. */
interface LayerParts {
  /** What stands before the blobs and behind them. */
  readonly before: Uint8Array;
  readonly blobs: readonly { readonly blob: BlobToWrite; readonly before: Uint8Array; readonly behind: Uint8Array }[];
  readonly behind: Uint8Array;
  /** With all values. */
  readonly size: number;
}

/** Fields stand in the order of their numbers, as Caffe writes them: the parameters behind the blobs. */
function layerParts({ message, blobs }: LayerToWrite): LayerParts {
  const numberOf = (field: string) => LAYER.find(([, name]) => name === field)![0];
  const some = (take: (number: number) => boolean): Message => ({
    line: 0,
    fields: new Map([...message.fields].filter(([field]) => take(numberOf(field)))),
  });
  const first = encodeMessage(
    some((number) => number < LAYER_BLOBS),
    LAYER,
  );
  const behind = encodeMessage(
    some((number) => number > LAYER_BLOBS),
    LAYER,
  );
  const parts = blobs.map(blobParts);
  const content = first.length + behind.length + parts.reduce((sum, { size }) => sum + size, 0);
  const before = concat([bytesHead(100, content), first]);
  return { before, blobs: parts, behind, size: before.length + content - first.length };
}

/** `data` is field 5, `shape` field 7 with its sizes packed in field 1. */
function blobParts(blob: BlobToWrite): LayerParts['blobs'][number] & { readonly size: number } {
  const bytes = 4 * countOf(blob.shape, 'caffemodel');
  const behind = bytesField(7, bytesField(1, concat(blob.shape.map(varint))));
  const data = bytesHead(5, bytes);
  const content = data.length + bytes + behind.length;
  const before = concat([bytesHead(LAYER_BLOBS, content), data]);
  return { blob, before, behind, size: before.length - data.length + content };
}

async function* modelChunks(name: string, layers: readonly LayerParts[], { signal }: WriteRequest): AsyncGenerator<Uint8Array> {
  yield bytesField(1, name);
  for (const { before, blobs, behind } of layers) {
    yield before;
    for (const blob of blobs) {
      throwIfAborted(signal, 'caffemodel');
      yield blob.before;
      yield* valueChunks(blob.blob, signal);
      yield blob.behind;
    }
    yield behind;
  }
}

async function* valueChunks({ shape, values }: BlobToWrite, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  if ('constant' in values) {
    yield bytesOf(new Float32Array(countOf(shape, 'caffemodel')).fill(values.constant));
    return;
  }
  const { tensor, order } = values;
  const options = signal ? { signal } : {};
  const count = countOf(tensor.shape, 'caffemodel');
  let written = 0;
  if (order) {
    const all = await tensor.values(options);
    written = all.length;
    if (written === count) {
      for (const piece of unorder(all, order, PIECE)) {
        throwIfAborted(signal, 'caffemodel');
        yield bytesOf(piece);
      }
    }
  } else {
    for await (const piece of tensor.stream(options)) {
      written += piece.length;
      if (written <= count) yield bytesOf(piece);
    }
  }
  if (written !== count) {
    throw new VggError('VGG_SHAPE', `caffemodel: expected ${count} values for "${tensor.name}" [${tensor.shape}], received ${written}`);
  }
}
