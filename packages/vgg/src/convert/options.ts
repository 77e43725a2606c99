import type { StoredType } from '@vgg/loaders';
import type { ClassName } from '../classes/parse-classes.js';
import type { SourceInput } from '../io/io.js';
import type { PlanInput } from '../network/plan.js';
import type { OpenWeightsOptions } from '../weights/open-weights.js';

/**
 * How the weights of each layer are stored, by the paper's name of the layer, `conv`, `fc` or `bn` for all of a kind, and `default` for the
 * others (`float32` where that is left out): `{ default: 'int8', conv1_1: 'float32', fc: 'int4' }`. A layer's own name comes first.
 */
export type DtypeByLayer = Readonly<Record<string, StoredType>>;

export interface ConvertOptions extends OpenWeightsOptions {
  /** The format to write, by its id or ending; by default what the output's name ends in, and for a folder `tfjs`. */
  to?: string;
  /**
   * Default `float32`, bit for bit the values read; `float16` halves the file, `int8` quarters it, with a scale for each output channel,
   * and `int4` makes it an eighth, with 16 values for each output channel, at a price that the deeper layers feel. In int8 and int4 biases
   * and batch normalisations stay float32. In safetensors each layer may be of another: {@link DtypeByLayer}.
   */
  dtype?: StoredType | DtypeByLayer;
  /**
   * Further weights of the same network: the mean of all of them is written, tensor by tensor. It is often better than each, where one was trained
   * on from another, or both from a third (Izmailov et al. 2018, arXiv 1803.05407).
   */
  average?: readonly SourceInput[];
  /** Only what these taps need. */
  layers?: readonly string[];
  /** The architecture, where the file does not show it. */
  arch?: string | PlanInput;
  /** Names of the classes to carry, a file or the names themselves, instead of those that the input carries. */
  classes?: SourceInput | readonly ClassName[];
}

export const CONVERT_DEFAULTS = { dtype: 'float32' } as const;

/** What {@link convert} wrote. */
export interface Converted {
  /** The main file. */
  readonly output: string;
  /** The id of its format. */
  readonly format: string;
  readonly tensors: number;
  /** Of all files. */
  readonly bytes: number;
  /** By their own names, the main file last. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}
