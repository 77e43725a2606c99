import { toFloat32 } from '../../dtype.js';
import type { ReadOptions, Source } from '../../source.js';
import { corrupt } from '../protobuf/wire.js';
import type { StoredTensor } from '../tensors.js';
import { type Blob, blobTensor, constantTensor, squeezed } from './blobs.js';
import { normalisations, runsInTest } from './layers.js';
import { flag, message } from './message.js';
import type { BinaryLayer } from './net.js';

/**
 * The weights of all layers as tensors. Of two layers of one name, as a network in training may have them, the one that is used counts.
 * @throws VggError `VGG_INTEGRITY` if a layer's blobs are not those of its type
 */
export async function layerTensors(source: Source, layers: readonly BinaryLayer[], options: ReadOptions): Promise<StoredTensor[]> {
  const used = new Set(layers.filter((layer) => layer.blobs.length > 0 && runsInTest(layer)).map(({ name }) => name));
  const holders = layers.filter((layer) => layer.blobs.length > 0 && (!used.has(layer.name) || runsInTest(layer)));
  const scaleOf = new Map([...normalisations(layers)].map(([scale, norm]) => [norm, scale as BinaryLayer]));
  const merged = new Set(scaleOf.values());
  const tensors: StoredTensor[] = [];
  for (const layer of holders) {
    if (layer.type === 'BatchNorm') tensors.push(...(await batchNorm(source, layer, scaleOf.get(layer), options)));
    else if (layer.type === 'Scale' && !merged.has(layer)) tensors.push(...scale(source, layer.name, layer));
    else if (layer.type !== 'Scale') tensors.push(...layer.blobs.map((blob, i) => weight(source, layer, blob, i)));
  }
  return tensors;
}

const PARTS = ['weight', 'bias'];

function weight(source: Source, layer: BinaryLayer, blob: Blob, place: number): StoredTensor {
  const name = `${layer.name}.${PARTS[place] ?? `blob${place + 1}`}`;
  const isFilter = place === 0 && (layer.type === 'Convolution' || layer.type === 'Deconvolution');
  const isMatrix = place === 0 && layer.type === 'InnerProduct';
  const shape = isFilter
    ? blob.shape
    : isMatrix
      ? squeezed(blob.shape, 2)
      : place === 1 || blob.legacy
        ? squeezed(blob.shape, 1)
        : blob.shape;
  const transposed =
    isMatrix && shape.length === 2 && flag(message(layer.message, 'inner_product_param', layer.who), 'transpose', layer.who, false);
  if (transposed) return blobTensor(source, blob, { name, shape: [shape[1]!, shape[0]!], axes: [1, 0] });
  return blobTensor(source, blob, { name, shape });
}

/** Mean, variance, and the factor by which both are too large: what Caffe sums up in training. */
async function batchNorm(
  source: Source,
  layer: BinaryLayer,
  after: BinaryLayer | undefined,
  options: ReadOptions,
): Promise<StoredTensor[]> {
  const { name, who, blobs } = layer;
  const [mean, variance, factor] = blobs;
  if (!mean || !variance || blobs.length > 3) throw corrupt(who, `${blobs.length} blobs of a BatchNorm, which has three`);
  const sum = factor ? await firstValue(source, factor, who, options) : 1;
  // In float32 and as Caffe does it: multiplied by the reciprocal, and by 0 where nothing was summed up.
  const reciprocal = sum === 0 ? 0 : Math.fround(1 / sum);
  const tensors = [mean, variance].map((blob, i) =>
    blobTensor(source, blob, { name: `${name}.${i === 0 ? 'mean' : 'variance'}`, shape: squeezed(blob.shape, 1) }, reciprocal),
  );
  const scaled = after?.blobs.length ? scale(source, name, after) : [constantTensor(`${name}.scale`, mean, 1)];
  return [...tensors, ...scaled, ...(scaled.length < 2 ? [constantTensor(`${name}.offset`, mean, 0)] : [])];
}

function scale(source: Source, name: string, layer: BinaryLayer): StoredTensor[] {
  const { blobs, who } = layer;
  if (blobs.length > 2) throw corrupt(who, `${blobs.length} blobs of a Scale, which has two`);
  return blobs.map((blob, i) =>
    blobTensor(source, blob, { name: `${name}.${i === 0 ? 'scale' : 'offset'}`, shape: squeezed(blob.shape, 1) }),
  );
}

async function firstValue(source: Source, { values, shape }: Blob, who: string, options: ReadOptions): Promise<number> {
  if (!values || shape.some((size) => size !== 1)) throw corrupt(who, `a factor of shape [${shape}]`);
  return toFloat32(await source.read(values.start, values.dtype === 'float32' ? 4 : 8, options), values.dtype)[0]!;
}
