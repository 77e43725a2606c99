import { VggError } from '@vgg/errors';
import { didYouMean } from '../text/suggest.js';
import { buildNetwork } from './build.js';
import { PLAN_DEFAULTS, parsePlan } from './parse-plan.js';
import type { Network, Plan, PlanInput } from './plan.js';

/** One row of the family: what it is called, and its plan where that differs from {@link PLAN_DEFAULTS}. */
export interface Architecture {
  /** Without the `_bn` that any of them may take. */
  readonly name: string;
  /** The paper's column; presets have none. */
  readonly column?: 'A' | 'A-LRN' | 'B' | 'C' | 'D' | 'E';
  readonly about: string;
  readonly plan: Partial<Plan> & Pick<Plan, 'blocks'>;
}

const A: Plan['blocks'] = [[64], [128], [256, 256], [512, 512], [512, 512]];
const B: Plan['blocks'] = [
  [64, 64],
  [128, 128],
  [256, 256],
  [512, 512],
  [512, 512],
];
const C: Plan['blocks'] = [
  [64, 64],
  [128, 128],
  [256, 256, 'conv1-256'],
  [512, 512, 'conv1-512'],
  [512, 512, 'conv1-512'],
];
const D: Plan['blocks'] = [
  [64, 64],
  [128, 128],
  [256, 256, 256],
  [512, 512, 512],
  [512, 512, 512],
];
const E: Plan['blocks'] = [
  [64, 64],
  [128, 128],
  [256, 256, 256, 256],
  [512, 512, 512, 512],
  [512, 512, 512, 512],
];
const COMPACT: Plan['blocks'] = [[64], [64, 256], [256, 256], [256]];

/** Table 1 of the paper (Simonyan and Zisserman 2014, arXiv 1409.1556), and small nets that are built from it. */
export const ARCHITECTURES: readonly Architecture[] = [
  { name: 'vgg11', column: 'A', about: '8 convolutions', plan: { blocks: A } },
  { name: 'vgg11_lrn', column: 'A-LRN', about: 'A with local response normalisation', plan: { blocks: A, lrn: true } },
  { name: 'vgg13', column: 'B', about: '10 convolutions', plan: { blocks: B } },
  { name: 'vgg16c', column: 'C', about: 'B with three 1x1 convolutions', plan: { blocks: C } },
  { name: 'vgg16', column: 'D', about: '13 convolutions', plan: { blocks: D } },
  { name: 'vgg19', column: 'E', about: '16 convolutions', plan: { blocks: E } },
  {
    name: 'cifar_vgg16_bn',
    about: 'D with batch normalisation and one dense layer, for three classes of 32x32 pictures',
    plan: { blocks: D, batchNorm: true, dense: [], classes: 3, size: 32 },
  },
  {
    name: 'vgg19_3pool',
    about: 'E with pools 1, 2 and 5 only, for ten classes of 32x32 pictures',
    plan: { blocks: E, pools: [1, 2, 5], dropout: 0.2, classes: 10, size: 32 },
  },
  {
    name: 'compact',
    about:
      '6 convolutions with batch normalisation and one dense layer, for ten classes of 32x32 pictures; its weights are inside the package',
    plan: { blocks: COMPACT, batchNorm: true, globalPool: true, dense: [], classes: 10, size: 32 },
  },
];

/** Anything of a plan that a caller wants otherwise. */
export type NetworkOptions = Partial<Plan>;

/**
 * A network of the family, or of a custom plan, as a list of layers.
 *
 * @param arch a name (`vgg16`, `vgg16_bn`, `vgg11_lrn`, `vgg16c` ...), the paper's letter (`D`, `A-LRN`, `D+BN`), a preset
 *   (`cifar_vgg16_bn`, `vgg19_3pool`), a plan, or a plan's JSON; case, spaces, `-`, `_` and `+` do not matter in names
 * @param options what is wanted otherwise than in the paper: `classes`, `channels`, `size`, `top`, `batchNorm`, `pool`, `rounding` ...
 * @throws VggError `VGG_ARCHITECTURE` for an unknown name or an impossible plan
 * @example
 * network('D', { top: false }).layers.length; // 31: 13 convolutions, 13 ReLUs, 5 pools
 * network({ blocks: [[16], [32]], dense: [], classes: 3, size: 32 }).layers.at(-2)!.name; // 'fc6'
 */
export function network(arch: string | PlanInput, options: NetworkOptions = {}): Network {
  const custom = typeof arch !== 'string' || arch.trimStart().startsWith('{');
  const base = custom ? parsePlan(arch) : planOf(arch);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as NetworkOptions;
  // New blocks bring their own pools with them.
  const { pools, ...rest } = base;
  const merged = parsePlan({ ...rest, ...(given.blocks === undefined ? { pools } : {}), ...given });
  if (custom || given.name !== undefined || merged.batchNorm === base.batchNorm) return buildNetwork(merged);
  const bare = base.name.replace(/_bn$/, '');
  return buildNetwork({ ...merged, name: merged.batchNorm ? `${bare}_bn` : bare });
}

/** The architecture that a name means and whether it asks for batch normalisation; `undefined` for an unknown name. */
export function findArchitecture(name: string): { architecture: Architecture; batchNorm: boolean } | undefined {
  const key = keyOf(name);
  const exact = ARCHITECTURES.find((architecture) => keysOf(architecture).includes(key));
  if (exact) return { architecture: exact, batchNorm: exact.plan.batchNorm ?? PLAN_DEFAULTS.batchNorm };
  if (!key.endsWith('bn')) return undefined;
  const bare = ARCHITECTURES.find((architecture) => keysOf(architecture).includes(key.slice(0, -2)));
  return bare && { architecture: bare, batchNorm: true };
}

/** Every name that {@link network} answers to by itself: the columns with and without batch normalisation, and the presets. */
export function architectureNames(): string[] {
  const columns = ARCHITECTURES.filter((architecture) => architecture.column !== undefined).map((architecture) => architecture.name);
  const presets = ARCHITECTURES.filter((architecture) => architecture.column === undefined).map((architecture) => architecture.name);
  return [...columns, ...columns.map((name) => `${name}_bn`), ...presets];
}

function planOf(name: string): Plan {
  const found = findArchitecture(name);
  if (!found) {
    const names = architectureNames();
    throw new VggError(
      'VGG_ARCHITECTURE',
      `network: unknown architecture "${name.slice(0, 64)}"${didYouMean(name, names)}; expected one of ${names.join(', ')}, a letter of the paper, or a plan as JSON`,
    );
  }
  const { architecture, batchNorm } = found;
  const suffix = batchNorm && !architecture.plan.batchNorm ? '_bn' : '';
  return parsePlan({ ...architecture.plan, name: `${architecture.name}${suffix}`, batchNorm });
}

function keysOf({ name, column }: Architecture): string[] {
  if (column === undefined) return [keyOf(name)];
  const letter = keyOf(column);
  return [keyOf(name), letter, `vgg${letter}`];
}

function keyOf(name: string): string {
  return name.toLowerCase().replace(/[\s_+-]+/g, '');
}
