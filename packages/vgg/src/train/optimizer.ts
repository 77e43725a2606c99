import * as tf from '@tensorflow/tfjs-core';
import { adamStep, clipScale, sgdStep } from '@vgg/core';
import { VggError } from '@vgg/errors';
import { given } from '../given.js';
import { checkNames, checkNumber, checkWord, wrongOption } from './options.js';

/** Options of {@link makeOptimizer}; plain data, which a checkpoint can hold. */
export interface OptimizerOptions {
  /** Default: `sgd`. */
  readonly algorithm?: 'sgd' | 'adam' | 'adamw';
  /** SGD. Default: 0.9; with 0 no velocity is kept. */
  readonly momentum?: number;
  /** SGD. Default: false. */
  readonly nesterov?: boolean;
  /** Adam and AdamW. Defaults: 0.9, 0.999 and 1e-8. */
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Default: 0, with AdamW 0.01. The paper's is 5e-4, as `l2`. */
  readonly weightDecay?: number;
  /**
   * `l2`: added to the gradient for each unit of the parameter; `decoupled`: taken from the parameter itself, times the learning rate. Default:
   * `l2`, with AdamW `decoupled`.
   */
  readonly decay?: 'l2' | 'decoupled';
  /** Whether parameters of one axis are decayed too: biases, and the scales and offsets of batch normalisation. Default: true, as in PyTorch. */
  readonly decayBiases?: boolean;
  /** The gradients of a step are scaled so that their norm, of all together, is at most this. Default: they are taken as they are. */
  readonly clipNorm?: number;
  /** Parameters with a rate or a decay of their own; the first group that a name matches counts. */
  readonly groups?: readonly ParameterGroup[];
}

/** Parameters by their names, and what is different for them. */
export interface ParameterGroup {
  /** A name; `*` stands for any characters: `conv5_*`, `*.bias`. */
  readonly match: string;
  /** The learning rate is multiplied by it. Default: 1. */
  readonly rate?: number;
  /** In the place of the optimiser's own, for parameters of one axis too. */
  readonly weightDecay?: number;
}

const OPTIMIZER_DEFAULTS = {
  algorithm: 'sgd',
  momentum: 0.9,
  nesterov: false,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  decayBiases: true,
} as const;

/** A parameter and the gradient of the loss, of one shape. */
export interface ParameterGradient {
  readonly value: tf.Variable;
  readonly gradient: tf.Tensor;
}

/** What an optimiser keeps. */
interface OptimizerState {
  /** Adam and AdamW: the steps that each parameter has taken. */
  readonly steps: Readonly<Record<string, number>>;
  /** `velocity.NAME` of SGD, `mean.NAME` and `square.NAME` of Adam and AdamW. */
  readonly tensors: ReadonlyMap<string, tf.Tensor>;
}

/** Changes parameters along their gradients. All methods run on the active backend. */
export interface Optimizer {
  /**
   * Changes every parameter that is given, with PyTorch's formulae. The variables stay the same objects; the gradients stay the caller's.
   *
   * @param rate the learning rate of this step
   * @throws VggError `VGG_SHAPE` when a gradient or what is kept has not the parameter's shape, `VGG_OPTION` for a rate that is no number
   */
  step(parameters: ReadonlyMap<string, ParameterGradient>, rate: number): void;
  /** What it keeps, as it is: the tensors remain its own, and the next step changes them. */
  state(): OptimizerState;
  /**
   * Goes on from a kept state, with the same bits as if it had never stopped. The tensors remain the caller's.
   * @throws VggError `VGG_INTEGRITY` for the state of another algorithm
   */
  restore(state: OptimizerState): void;
  dispose(): void;
}

/** What a parameter's last steps have left, by its kind; zeros at first. */
type Kept = Record<string, tf.Variable>;

/**
 * SGD with momentum (Nesterov's too), Adam or AdamW, with weight decay, groups of parameters and clipping.
 *
 * On the wasm backend a step changes the parameters in their own memory, and only filters that changed are transformed again; a tensor that
 * shares the memory (a clone, the tensor that the variable was made of) keeps its values.
 *
 * @throws VggError `VGG_OPTION`
 * @example
 * const optimizer = makeOptimizer({ momentum: 0.9, weightDecay: 5e-4, groups: [{ match: 'conv*', rate: 0.1 }] });
 * optimizer.step(new Map([['fc8.weight', { value, gradient }]]), 0.01);
 */
export function makeOptimizer(options: OptimizerOptions = {}): Optimizer {
  const o = checked(options);
  const kinds = o.algorithm === 'sgd' ? (o.momentum > 0 ? ['velocity'] : []) : ['mean', 'square'];
  const kept = new Map<string, Kept>();
  const steps = new Map<string, number>();
  const groups = o.groups.map((group) => ({ ...group, pattern: patternOf(group.match) }));

  const keptOf = (name: string, value: tf.Tensor): Kept => {
    const known = kept.get(name);
    if (known) return known;
    const made = Object.fromEntries(kinds.map((kind) => [kind, ownVariable(() => tf.zeros(value.shape))]));
    kept.set(name, made);
    return made;
  };

  const take = (name: string, { value, gradient }: ParameterGradient, rate: number, scale: tf.Tensor | undefined) => {
    const group = groups.find(({ pattern }) => pattern.test(name));
    const ownRate = rate * (group?.rate ?? 1);
    const decay = group?.weightDecay ?? (o.decayBiases || value.rank > 1 ? o.weightDecay : 0);
    const common = { rate: ownRate, scale, ...(o.decay === 'l2' ? { decay } : { shrink: decay * ownRate }) };
    const own = keptOf(name, value);
    if (o.algorithm === 'sgd') {
      sgdStep({ value, gradient, velocity: own.velocity }, { ...common, momentum: o.momentum, nesterov: o.nesterov });
      return;
    }
    const step = (steps.get(name) ?? 0) + 1;
    const { beta1, beta2, epsilon } = o;
    adamStep({ value, gradient, mean: own.mean!, square: own.square! }, { ...common, beta1, beta2, epsilon, step });
    steps.set(name, step);
  };

  const dispose = () => {
    for (const own of kept.values()) for (const variable of Object.values(own)) variable.dispose();
    kept.clear();
    steps.clear();
  };

  return {
    step(parameters, rate) {
      checkNumber('optimizer', 'rate', rate, { least: 0 });
      const gradients = [...parameters.values()].map(({ gradient }) => gradient);
      const scale = o.clipNorm === undefined || gradients.length === 0 ? undefined : clipScale(gradients, o.clipNorm);
      try {
        for (const [name, parameter] of parameters) take(name, parameter, rate, scale);
      } finally {
        scale?.dispose();
      }
    },
    state: () => ({
      steps: Object.fromEntries(steps),
      tensors: new Map([...kept].flatMap(([name, own]) => Object.entries(own).map(([kind, variable]) => [`${kind}.${name}`, variable]))),
    }),
    restore(state) {
      const found = grouped(state, kinds, o.algorithm);
      dispose();
      for (const [name, own] of found)
        kept.set(
          name,
          mapValues(own, (tensor) => tf.variable(tensor)),
        );
      for (const [name, count] of Object.entries(state.steps)) steps.set(name, count);
    },
    dispose,
  };
}

/** The tensors of a state by parameter and kind; each parameter has all kinds, and Adam's a count of steps. */
function grouped({ tensors, steps }: OptimizerState, kinds: readonly string[], algorithm: string): Map<string, Record<string, tf.Tensor>> {
  const found = new Map<string, Record<string, tf.Tensor>>();
  for (const [key, tensor] of tensors) {
    const dot = key.indexOf('.');
    const name = key.slice(dot + 1);
    found.set(name, { ...found.get(name), [key.slice(0, dot)]: tensor });
  }
  const counted = algorithm === 'sgd' ? new Set<string>() : new Set(found.keys());
  const isWhole =
    [...found.values()].every((own) => Object.keys(own).sort().join() === [...kinds].sort().join()) &&
    Object.keys(steps).length === counted.size &&
    Object.entries(steps).every(([name, count]) => counted.has(name) && Number.isInteger(count) && count > 0);
  if (isWhole) return found;
  const expected = kinds.length === 0 ? 'no tensors' : `${kinds.join(' and ')} of each parameter`;
  const received = [...new Set([...found.values()].flatMap(Object.keys))].join(', ') || 'none';
  throw new VggError(
    'VGG_INTEGRITY',
    `optimizer: expected the state of ${algorithm} (${expected}), received ${received}; is it that of another optimiser?`,
  );
}

/** A variable that alone holds what `make` makes. */
function ownVariable(make: () => tf.Tensor): tf.Variable {
  const tensor = make();
  const variable = tf.variable(tensor);
  tensor.dispose();
  return variable;
}

const mapValues = <A, B>(record: Record<string, A>, change: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));

/** @throws VggError `VGG_OPTION` for a group that none of the names belongs to */
export function checkGroups({ groups = [] }: OptimizerOptions, names: readonly string[]): void {
  const vain = groups.find(({ match }) => !names.some((name) => patternOf(match).test(name)));
  if (vain) {
    const layers = new Set(names.map((name) => name.replace(/\.\w+$/, '')));
    throw new VggError(
      'VGG_OPTION',
      `train: optimizer: expected groups of parameters that learn, received "${vain.match}", which matches nothing of ${[...layers].join(', ')}`,
    );
  }
}

function patternOf(match: string): RegExp {
  const parts = match.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`);
}

const NAMES = ['momentum', 'nesterov', 'beta1', 'beta2', 'epsilon', 'weightDecay', 'decay', 'decayBiases', 'clipNorm', 'groups'];

function checked(options: OptimizerOptions) {
  const who = 'train: optimizer';
  checkNames(who, options, ['algorithm', ...NAMES]);
  const { algorithm = OPTIMIZER_DEFAULTS.algorithm } = options;
  checkWord(who, 'algorithm', algorithm, ['sgd', 'adam', 'adamw']);
  const o = {
    ...OPTIMIZER_DEFAULTS,
    weightDecay: algorithm === 'adamw' ? 0.01 : 0,
    decay: algorithm === 'adamw' ? ('decoupled' as const) : ('l2' as const),
    ...given(options),
    algorithm,
    groups: options.groups ?? [],
  };
  const part = { least: 0, below: 1 };
  checkNumber(who, 'momentum', o.momentum, part);
  checkNumber(who, 'beta1', o.beta1, part);
  checkNumber(who, 'beta2', o.beta2, part);
  checkNumber(who, 'epsilon', o.epsilon, { above: 0 });
  checkNumber(who, 'weightDecay', o.weightDecay, { least: 0 });
  checkWord(who, 'decay', o.decay, ['l2', 'decoupled']);
  if (algorithm === 'adamw' && o.decay === 'l2') throw wrongOption(who, 'decay', 'decoupled with adamw', 'l2; adam has it');
  if (o.nesterov && o.momentum === 0) throw wrongOption(who, 'momentum', 'a number above 0 with nesterov', 0);
  if (o.clipNorm !== undefined) checkNumber(who, 'clipNorm', o.clipNorm, { above: 0 });
  o.groups.forEach((group, i) => {
    checkNames(who, group, ['match', 'rate', 'weightDecay']);
    if (typeof group.match !== 'string' || group.match === '')
      throw wrongOption(who, `groups[${i}].match`, 'a name or a pattern', group.match);
    if (group.rate !== undefined) checkNumber(who, `groups[${i}].rate`, group.rate, { least: 0 });
    if (group.weightDecay !== undefined) checkNumber(who, `groups[${i}].weightDecay`, group.weightDecay, { least: 0 });
  });
  return o;
}
