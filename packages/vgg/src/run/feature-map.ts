import * as tf from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { encodeNpy } from '@vgg/loaders';

/** One layer's output: its paper name, its shape ([N, H, W, C] for maps, [N, C] for dense layers) and its values, row-major. */
export interface FeatureMap {
  readonly layer: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * The same values with channels first, as PyTorch and Caffe order them: [N, H, W, C] becomes [N, C, H, W]; dense outputs stay.
 *
 * @example
 * toNCHW({ layer: 'pool5', shape: [1, 7, 7, 512], data }).shape; // [1, 512, 7, 7]
 */
export function toNCHW(map: FeatureMap): FeatureMap {
  if (map.shape.length !== 4) return map;
  const [n, h, w, c] = map.shape;
  const data = new Float32Array(map.data.length);
  for (let i = 0, from = 0; i < n; i++) {
    for (let cell = 0; cell < h * w; cell++) {
      for (let channel = 0; channel < c; channel++) data[(i * c + channel) * h * w + cell] = map.data[from++];
    }
  }
  return { layer: map.layer, shape: [n, c, h, w], data };
}

/** The values as a tensor on the active tfjs backend; the caller disposes of it. */
export function toTensor(map: FeatureMap): tf.Tensor {
  return tf.tensor(map.data, [...map.shape], 'float32');
}

/** The values as the bytes of a NumPy `.npy` file (float32, C order), as `numpy.load` reads them. */
export function toNpy(map: FeatureMap): Uint8Array {
  return encodeNpy(map.data, map.shape);
}

/**
 * Joins maps of equal cell shape along the batch: two of [1, 7, 7, 512] give one of [2, 7, 7, 512].
 *
 * @throws VggError `VGG_SHAPE` where sizes differ, `VGG_INPUT` for an empty list
 */
export function stackMaps(maps: readonly FeatureMap[]): FeatureMap {
  const [first] = maps;
  if (!first) throw new VggError('VGG_INPUT', 'stackMaps: expected at least one map, received none');
  const rest = first.shape.slice(1);
  const odd = maps.find((map) => map.shape.slice(1).some((side, i) => side !== rest[i]));
  if (odd) {
    throw new VggError(
      'VGG_SHAPE',
      `extract: the pictures give ${first.layer} maps of different sizes ([${rest}] and [${odd.shape.slice(1)}]); pass size to squash them alike, or take them one by one with extractAll`,
    );
  }
  const data = new Float32Array(maps.reduce((sum, map) => sum + map.data.length, 0));
  let offset = 0;
  for (const map of maps) {
    data.set(map.data, offset);
    offset += map.data.length;
  }
  return { layer: first.layer, shape: [maps.reduce((sum, map) => sum + map.shape[0], 0), ...rest], data };
}

/**
 * One picture's vector: the mean or maximum over its map's cells [1, H, W, C], or all values flattened in H, W, C order; dense outputs
 * [1, C] are vectors already.
 *
 * @param normalize divide the vector by its Euclidean length
 * @throws VggError `VGG_SHAPE` for the map of several pictures
 * @example
 * poolMap(await model.extract('cat.jpg', 'pool5'), 'average').length; // 512
 */
export function poolMap(map: FeatureMap, pooling: 'average' | 'max' | 'none', normalize = false): Float32Array {
  if (map.shape[0] !== 1) {
    throw new VggError(
      'VGG_SHAPE',
      `poolMap: expected the map of one picture, received [${map.shape.join(', ')}]; take several one by one with extractAll, or use embed`,
    );
  }
  const vector = map.shape.length === 4 && pooling !== 'none' ? poolCells(map, pooling) : map.data.slice();
  if (normalize) {
    let squares = 0;
    for (const value of vector) squares += value * value;
    const length = Math.sqrt(squares);
    if (length > 0) for (let i = 0; i < vector.length; i++) vector[i] /= length;
  }
  return vector;
}

function poolCells(map: FeatureMap, pooling: 'average' | 'max'): Float32Array {
  const channels = map.shape[3];
  const cells = map.data.length / channels;
  const sums = new Float64Array(channels).fill(pooling === 'max' ? Number.NEGATIVE_INFINITY : 0);
  for (let cell = 0, i = 0; cell < cells; cell++) {
    for (let channel = 0; channel < channels; channel++, i++) {
      if (pooling === 'max') sums[channel] = Math.max(sums[channel], map.data[i]);
      else sums[channel] += map.data[i];
    }
  }
  return Float32Array.from(sums, (sum) => (pooling === 'max' ? sum : sum / cells));
}
