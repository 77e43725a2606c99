import { VggError } from '@vgg/errors';
import type { Layer } from './plan.js';

/** A map's height, width and channels; after `flatten` and the dense layers, height and width are 1. */
export type MapShape = readonly [height: number, width: number, channels: number];

/** A pool's output side for an input side of `cells`. */
function pooled(cells: number, pool: { size: number; stride: number; rounding: 'floor' | 'ceil' }): number {
  const steps = (cells - pool.size) / pool.stride;
  if (pool.rounding === 'floor') return Math.floor(steps) + 1;
  const side = Math.ceil(steps) + 1;
  // With a stride longer than its window, the last window could start outside the map: it is left out, as in Caffe and PyTorch.
  return (side - 1) * pool.stride >= cells ? side - 1 : side;
}

/**
 * A layer's output shape for an input of [height, width, channels].
 * @throws VggError `VGG_SHAPE` if the map is too small for the layer, or is not the one its dense layer was made for
 */
export function outputShape(layer: Layer, [height, width, channels]: MapShape, who: string): MapShape {
  switch (layer.kind) {
    case 'conv': {
      if (channels !== layer.in)
        throw new VggError('VGG_SHAPE', `${who}: ${layer.name} expected ${layer.in} channels, received ${channels}`);
      // A mirrored border repeats the second row, so there must be one.
      const least =
        layer.kernel === 1 ? 1 : layer.padding === 'valid' ? layer.kernel : layer.padding === 'reflect' ? (layer.kernel + 1) / 2 : 1;
      if (height < least || width < least) tooSmall(who, layer.name, `at least ${least}x${least} cells`, height, width);
      return layer.padding === 'valid' ? [height - layer.kernel + 1, width - layer.kernel + 1, layer.out] : [height, width, layer.out];
    }
    case 'pool': {
      const sides = [pooled(height, layer), pooled(width, layer)] as const;
      if (sides[0] < 1 || sides[1] < 1) tooSmall(who, layer.name, `at least ${layer.size}x${layer.size} cells`, height, width);
      return [sides[0], sides[1], channels];
    }
    case 'flatten':
      return [1, 1, height * width * channels];
    case 'dense':
      if (height !== 1 || width !== 1 || channels !== layer.in) {
        const received = height === 1 && width === 1 ? `${channels}` : `a map of ${height}x${width}x${channels}`;
        throw new VggError(
          'VGG_SHAPE',
          `${who}: ${layer.name} expected ${layer.in} values, received ${received}; use the size it was made for, leave the dense layers out, or run them as convolutions`,
        );
      }
      return [1, 1, layer.out];
    case 'mean':
      return [1, 1, channels];
    default:
      return [height, width, channels];
  }
}

function tooSmall(who: string, layer: string, expected: string, height: number, width: number): never {
  throw new VggError(
    'VGG_SHAPE',
    `${who}: the picture is too small for ${layer}, which expected ${expected} and received ${height}x${width}; use a larger picture or a shallower layer`,
  );
}
