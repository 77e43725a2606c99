import { VggError } from '@vgg/errors';
import { canonicalise, canonicalTensors, type ReadOptions, readCanonical, type WeightFile, weightFile } from '@vgg/loaders';
import { carriedClasses } from '../classes/carried.js';
import type { OpenedWeights } from './open-weights.js';
import { weightSpecs } from './specs.js';

/**
 * The mean of weights of one network, tensor by tensor, means and variances of batch normalisation too. Runs that began with each other's
 * weights end around one wide minimum, whose middle is often better than each of them: Izmailov et al. 2018, "Averaging Weights Leads to
 * Wider Optima and Better Generalization" (arXiv 1803.05407). Two tensors at a time are in memory.
 *
 * @param all one or more, which stay open; the first tells the classes, the licence and all else
 * @throws VggError `VGG_SHAPE` for weights of another network, `VGG_OPTION` for other classes or pictures that are prepared otherwise,
 *   `VGG_WEIGHTS_MISSING` for a tensor that one of them lacks, when it is read
 * @example
 * averageWeights([second, third]).file.read('conv1_1.weight'); // (second + third) / 2
 */
export function averageWeights(all: readonly [OpenedWeights, ...OpenedWeights[]]): OpenedWeights {
  const [first, ...others] = all;
  if (others.length === 0) return first;
  for (const other of others) checkAlike(first, other);
  const file = averagedFile(first, others);
  return { ...first, file, mapping: canonicalise(file, weightSpecs(first.network)) };
}

function checkAlike(a: OpenedWeights, b: OpenedWeights): void {
  const layersOf = ({ network }: OpenedWeights) => JSON.stringify(weightSpecs(network).map(({ name, shape }) => [name, shape]));
  if (layersOf(a) !== layersOf(b))
    throw new VggError(
      'VGG_SHAPE',
      `average: expected weights of the layers of ${a.name}, received ${b.name} with layers of other names or shapes`,
    );
  const preparedOf = ({ preprocessing: { channelOrder, scale, mean, std } }: OpenedWeights) =>
    JSON.stringify([channelOrder, scale, mean, std]);
  const [classes, others] = [a, b].map(({ file }) => carriedClasses(file.metadata));
  const areOther = classes !== undefined && others !== undefined && classes !== others;
  const odd = preparedOf(a) !== preparedOf(b) ? 'preprocessing' : areOther ? 'classes' : undefined;
  if (odd)
    throw new VggError('VGG_OPTION', `average: expected weights with the ${odd} of ${a.name}, received ${b.name} with ${odd} of its own`);
}

function averagedFile(first: OpenedWeights, others: readonly OpenedWeights[]): WeightFile {
  const mean = async (name: string, options: ReadOptions): Promise<Float32Array> => {
    // A copy: the values may be the file's own memory.
    const values = (await readCanonical(first.file, first.mapping, name, options)).slice();
    for (const [i, { file, mapping }] of others.entries()) {
      const more = await readCanonical(file, mapping, name, options);
      for (let k = 0; k < values.length; k++) values[k]! += (more[k]! - values[k]!) / (i + 2);
    }
    return values;
  };
  const tensors = weightSpecs(first.network)
    .flatMap(canonicalTensors)
    .map(({ name, shape }) => {
      const lacking = [first, ...others].find(({ mapping }) => !mapping.tensors.get(name)?.present);
      const info = { name, shape, dtype: 'float32', present: !lacking } as const;
      return {
        info: { ...info, ...(lacking && { absence: lacking.mapping.tensors.get(name)?.absence ?? `${lacking.name} lacks it` }) },
        read: (options: ReadOptions) => mean(name, options),
        async *stream(options: ReadOptions) {
          yield await mean(name, options);
        },
      };
    });
  return weightFile({ format: first.file.format, who: first.name, metadata: first.file.metadata, tensors });
}
