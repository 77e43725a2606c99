import { throwIfAborted, VggError } from '@vgg/errors';
import { readCanonical, writeSafetensors } from '@vgg/loaders';
import { io } from '#io';
import type { SourceInput, WriteTarget } from './io/io.js';
import { prefix } from './network/layers.js';
import type { Plan } from './network/plan.js';
import { METADATA, type OpenWeightsOptions, openNetworkWeights } from './weights/open-weights.js';
import { tensorNames } from './weights/store.js';

export interface ConvertOptions extends OpenWeightsOptions {
  /** Default `safetensors`, the one written so far. */
  to?: 'safetensors';
  /** Default `float32`, bit for bit the values read. */
  dtype?: 'float32' | 'float16';
  /** Only what these taps need. */
  layers?: readonly string[];
  /** The architecture, where the file does not show it. */
  arch?: string | Plan;
}

export const CONVERT_DEFAULTS = { to: 'safetensors', dtype: 'float32' } as const;

/**
 * Any readable weight file to safetensors with canonical names (`conv1_1.weight` [3, 3, in, out], `fc6.weight` [in, out]) that
 * carries its plan, preprocessing, licence and source; one tensor in memory at a time, the file renamed into place when whole.
 *
 * @returns the output's name, how many tensors it holds, and its bytes
 * @throws VggError `VGG_WEIGHTS_MISSING` for an incomplete file, unless `layers` stops before the hole
 */
export async function convert(
  weights: SourceInput,
  output: WriteTarget,
  options: ConvertOptions = {},
): Promise<{ output: string; format: string; tensors: number; bytes: number }> {
  const { to, dtype } = { ...CONVERT_DEFAULTS, ...options };
  if (to !== 'safetensors') throw new VggError('VGG_OPTION', `convert: expected safetensors as the format to write, received ${to}`);
  const { signal, onProgress, layers } = options;
  const { file, network, mapping, preprocessing, licence, source } = await openNetworkWeights(options.arch, { ...options, weights }, true);
  try {
    const wanted = (layers ? prefix(network, layers) : network.layers).flatMap(tensorNames);
    const missing = wanted.filter((name) => !mapping.tensors.get(name)?.present);
    if (missing.length > 0) {
      const shown = missing.slice(0, 6).join(', ');
      throw new VggError(
        'VGG_WEIGHTS_MISSING',
        `convert: ${missing.length} tensors are missing (${shown}${missing.length > 6 ? ' ...' : ''}); pass complete weights, or layers that stop before them`,
      );
    }
    const tensors = wanted.map((name, i) => ({
      name,
      shape: mapping.tensors.get(name)!.shape,
      values: async () => {
        throwIfAborted(signal, 'convert');
        const values = await readCanonical(file, mapping, name, { signal });
        onProgress?.({ stage: 'convert', loaded: i + 1, total: wanted.length, item: name });
        return values;
      },
    }));
    const metadata: Record<string, string> = {
      [METADATA.plan]: JSON.stringify(network.plan),
      [METADATA.preprocessing]: JSON.stringify(preprocessing),
    };
    if (licence) metadata[METADATA.licence] = licence;
    if (source) metadata[METADATA.source] = source;
    let bytes = 0;
    async function* counted() {
      for await (const chunk of writeSafetensors(tensors, metadata, { dtype, signal })) {
        bytes += chunk.length;
        yield chunk;
      }
    }
    await io.writeFile(output, counted(), { signal });
    return {
      output: typeof output === 'object' && 'name' in output ? output.name : String(output),
      format: to,
      tensors: tensors.length,
      bytes,
    };
  } finally {
    await file.close();
  }
}
