import { canonicalTensors, type WeightFile, weightFile } from '@vgg/loaders';
import { pace } from '../head/train/pace.js';
import type { Network } from '../network/plan.js';
import { random } from '../random.js';
import { weightSpecs } from '../weights/specs.js';

/** Values between two looks at the clock. */
const STRETCH = 1 << 16;

/**
 * A weight file that holds nothing: each tensor's values are drawn from the seed when they are read. Filters are normal with the
 * variance that keeps activations in range through ReLUs (He et al. 2015, "Delving Deep into Rectifiers": 2 / inputs), biases zero.
 */
export function randomWeights(network: Network, seed: number): WeightFile {
  const all = weightSpecs(network).flatMap((spec) => canonicalTensors(spec));
  return weightFile({
    format: 'random',
    who: network.name,
    tensors: all.map(({ name, shape, part }, place) => ({
      info: { name, shape, dtype: 'float32', present: true },
      async *stream({ signal }) {
        const count = shape.reduce((product, side) => product * side, 1);
        if (part !== 'weight') yield new Float32Array(count).fill(part === 'scale' || part === 'variance' ? 1 : 0);
        else yield await normal(count, Math.sqrt((2 * shape.at(-1)!) / count), seed * 1000 + place, signal);
      },
    })),
  });
}

/** Normally distributed values: Box and Muller 1958, "A Note on the Generation of Random Normal Deviates". */
export async function normal(count: number, deviation: number, seed: number, signal?: AbortSignal): Promise<Float32Array> {
  const { uniform } = random(seed);
  const wait = pace(signal, 'bench');
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
    if (i % STRETCH === 0) await wait();
  }
  return values;
}
