import type { Naming, Part } from '../spec.js';
import type { Named } from './layers.js';
import { bareName } from './state.js';

/** The paper's names of layers, as Caffe has them. `fc1` and `fc2` are Keras's for the first dense layers, so these begin at 6. */
const LAYER = String.raw`(?:conv|bn)\d+_\d+|conv0|fc(?:[6-9]|1\d)`;

const DOTTED = new RegExp(String.raw`(?:^|\.)(${LAYER})\.(\w+)$`);
const SCOPED = new RegExp(String.raw`(?:^|/)(${LAYER})/(?:(?:BatchNorm|bn|batch_norm)/)?(?:\1_)?(\w+)$`);
const JOINED = new RegExp(`^(${LAYER})_([Wwb])$`);
const SLIM = /^vgg_\w+\//;

/** Whatever a program calls the parts of a layer. */
export const PARTS: ReadonlyMap<string, Part> = new Map<string, Part>([
  ...words('weight', 'weight', 'weights', 'kernel', 'kernels', 'filter', 'filters', 'W', 'w'),
  ...words('bias', 'bias', 'biases', 'B', 'b'),
  ...words('scale', 'scale', 'gamma'),
  ...words('offset', 'offset', 'beta'),
  ...words('mean', 'mean', 'running_mean', 'moving_mean'),
  ...words('variance', 'variance', 'running_var', 'moving_variance'),
]);

function words(part: Part, ...names: string[]): [string, Part][] {
  return names.map((name) => [name, part]);
}

/**
 * What names with the paper's layers in them say: `conv1_1.weight` (Caffe, MATLAB, our own), `vgg_16/conv1/conv1_1/weights` (TF-Slim),
 * `conv1_1/w` (programs on TensorFlow 1), `conv1_1_W` (Frossard's npz). Undefined for any other.
 */
export function paperTensor(name: string): (Named & { naming: Naming }) | undefined {
  const bare = bareName(name);
  const dotted = DOTTED.exec(bare);
  if (dotted) return named('canonical', dotted[1]!, dotted[2]!);
  const joined = JOINED.exec(bare);
  if (joined) return named('frossard', joined[1]!, joined[2]!);
  const scoped = SCOPED.exec(bare);
  if (!scoped) return undefined;
  return named(SLIM.test(bare) ? 'slim' : 'tensorflow', scoped[1]!, scoped[2]!);
}

function named(naming: Naming, layer: string, word: string): (Named & { naming: Naming }) | undefined {
  const part = PARTS.get(word);
  if (part === undefined) return undefined;
  // A normalisation may be under the name of its convolution.
  const own = part === 'weight' || part === 'bias' ? layer : layer.replace(/^conv/, 'bn');
  return { naming, layer: own, part, place: own };
}
