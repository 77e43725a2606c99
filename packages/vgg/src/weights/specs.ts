import type { WeightSpec } from '@vgg/loaders';
import type { Layer } from '../network/plan.js';

/**
 * The layer table of a network, or of its {@link prefix}, for reading weights. A top made of convolutions lists its layers as the
 * dense ones they are stored as: `fc6` [25088, 4096] holds the values of the filter [7, 7, 512, 4096] in the same order.
 */
export function weightSpecs({ layers }: { readonly layers: readonly Layer[] }): WeightSpec[] {
  const specs: WeightSpec[] = [];
  let channels = 0;
  let isFirstDense = true;
  for (const layer of layers) {
    if (layer.kind === 'batchnorm') specs.push({ name: layer.name, kind: 'batchnorm', shape: [layer.channels] });
    const isDense = layer.kind === 'dense' || (layer.kind === 'conv' && layer.name.startsWith('fc'));
    if (layer.kind === 'conv' && !isDense) {
      specs.push({ name: layer.name, kind: 'conv', shape: [layer.kernel, layer.kernel, layer.in, layer.out] });
      channels = layer.out;
    } else if (layer.kind === 'conv' || layer.kind === 'dense') {
      const inputs = layer.kind === 'conv' ? layer.kernel ** 2 * layer.in : layer.in;
      const side = Math.sqrt(inputs / channels);
      specs.push({
        name: layer.name,
        kind: 'dense',
        shape: [inputs, layer.out],
        ...(isFirstDense ? { flattenedFrom: [side, side, channels] as const } : {}),
      });
      isFirstDense = false;
    }
  }
  return specs;
}
