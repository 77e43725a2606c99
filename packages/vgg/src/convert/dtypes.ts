import { VggError } from '@vgg/errors';
import type { StoredType, WeightSpec } from '@vgg/loaders';
import { didYouMean } from '../text/suggest.js';
import { CONVERT_DEFAULTS, type DtypeByLayer } from './options.js';

/** All that there are. */
export const DTYPES: readonly StoredType[] = ['float32', 'float16', 'int8', 'int4'];
/** Keys that stand for all layers of a kind. */
const KINDS: Readonly<Record<WeightSpec['kind'], string>> = { conv: 'conv', dense: 'fc', batchnorm: 'bn' };

/** How each layer is stored: by its own name, else by its kind's, else by the default. */
export interface LayerDtypes {
  /** Of tensors that no layer names. */
  readonly default: StoredType;
  /** All that are asked for, once each. */
  readonly all: readonly StoredType[];
  of(spec: Pick<WeightSpec, 'name' | 'kind'>): StoredType;
}

/**
 * What the option asks for, checked.
 * @throws VggError `VGG_OPTION` for a dtype that there is not
 */
export function layerDtypes(option: StoredType | DtypeByLayer = CONVERT_DEFAULTS.dtype): LayerDtypes {
  const given = new Map(typeof option === 'object' ? Object.entries(option) : [['default', option]]);
  for (const [key, dtype] of given) {
    if (DTYPES.includes(dtype)) continue;
    const where = typeof option === 'object' ? ` for ${key}` : '';
    const received = String(dtype).slice(0, 64);
    throw new VggError(
      'VGG_OPTION',
      `convert: expected dtype ${DTYPES.join(', ')}${where}, received "${received}"${didYouMean(received, DTYPES)}`,
    );
  }
  const preset = given.get('default') ?? CONVERT_DEFAULTS.dtype;
  return {
    default: preset,
    all: [...new Set([preset, ...given.values()])],
    of: ({ name, kind }) => given.get(name) ?? given.get(KINDS[kind]) ?? preset,
  };
}

/** @throws VggError `VGG_LAYER` for a name that no layer with weights has, with the nearest */
export function checkLayers(option: StoredType | DtypeByLayer | undefined, specs: readonly WeightSpec[], network: string): void {
  if (typeof option !== 'object') return;
  const known = ['default', ...Object.values(KINDS), ...specs.map(({ name }) => name)];
  const odd = Object.keys(option).find((key) => !known.includes(key));
  if (odd === undefined) return;
  const typed = odd.slice(0, 64);
  throw new VggError(
    'VGG_LAYER',
    `convert: expected dtype for layers of ${network} that have weights, for conv, fc, bn or default, received "${typed}"${didYouMean(typed, known)}`,
  );
}
