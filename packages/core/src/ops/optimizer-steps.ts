import {
  add,
  addN,
  cast,
  div,
  engine,
  getKernel,
  minimum,
  mul,
  type NamedTensorMap,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  tidy,
  type Variable,
} from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { ADAM_STEP, SGD_STEP, SUM_SQUARES } from '../kernels/names.js';
import { kernel } from './differentiable.js';

/** What every step does to a parameter. */
export interface StepOptions {
  /** The learning rate. */
  rate: number;
  /** L2: added to the gradient for each unit of the parameter. Default: 0. */
  decay?: number;
  /** Decoupled decay: the part of the parameter that is taken from it, its rate multiplied in. Default: 0. */
  shrink?: number;
  /** A scalar that the gradient is multiplied by, see {@link clipScale}. */
  scale?: Tensor | undefined;
}

/** A parameter and its gradient, of one shape. The value changes: on wasm in its memory, elsewhere by another tensor taking its place. */
export interface Moving {
  value: Variable;
  gradient: Tensor;
}

/**
 * A step of stochastic gradient descent, with PyTorch's formulae (dampening 0):
 *
 * `g = scale gradient + decay w; v = momentum v + g; w = w - (rate d + shrink w)`, where d is `g + momentum v` with `nesterov` and `v` without.
 *
 * @param parameter `velocity` begins as zeros; without one the momentum is 0
 * @throws VggError `VGG_SHAPE` when the shapes differ
 */
export function sgdStep(
  parameter: Moving & { velocity?: Variable | undefined },
  options: StepOptions & { momentum?: number; nesterov?: boolean },
): void {
  const { value, gradient, velocity } = parameter;
  const { rate, decay = 0, shrink = 0, scale, momentum = 0, nesterov = false } = options;
  check('sgdStep', value, { gradient, velocity });
  if (inPlace(SGD_STEP, value, velocity)) {
    const inputs = { value, gradient, ...(velocity && { first: velocity }), ...(scale && { scale }) };
    change(SGD_STEP, inputs, { rate, decay, shrink, momentum, nesterov: velocity && nesterov ? 1 : 0 });
    return;
  }
  replace({ value, velocity }, () => {
    const g = decayed(value, gradient, decay, scale);
    if (!velocity) return { value: moved(value, mul(g, rate), shrink) };
    const v = add(mul(velocity, momentum), g);
    const direction = nesterov ? add(g, mul(v, momentum)) : v;
    return { velocity: v, value: moved(value, mul(direction, rate), shrink) };
  });
}

/**
 * A step of Adam (Kingma and Ba 2015), with PyTorch's formulae; with `shrink` in the place of `decay` it is AdamW (Loshchilov and Hutter 2019):
 *
 * `g = scale gradient + decay w; m = m + (1 - beta1) (g - m); s = beta2 s + (1 - beta2) g^2;`
 * `w = w - (rate / (1 - beta1^t) m / (sqrt(s) / sqrt(1 - beta2^t) + epsilon) + shrink w)`
 *
 * @param parameter `mean` and `square` (m and s) begin as zeros
 * @param options `step` is t: 1, 2, 3 ...
 * @throws VggError `VGG_SHAPE` when the shapes differ
 */
export function adamStep(
  parameter: Moving & { mean: Variable; square: Variable },
  options: StepOptions & { beta1: number; beta2: number; epsilon: number; step: number },
): void {
  const { value, gradient, mean, square: squares } = parameter;
  const { decay = 0, shrink = 0, scale, beta1, beta2, epsilon, step } = options;
  check('adamStep', value, { gradient, mean, square: squares });
  const rate = options.rate / (1 - beta1 ** step);
  const root = Math.sqrt(1 - beta2 ** step);
  if (inPlace(ADAM_STEP, value, mean, squares)) {
    const inputs = { value, gradient, first: mean, second: squares, ...(scale && { scale }) };
    change(ADAM_STEP, inputs, { rate, decay, shrink, beta1, beta2, epsilon, root });
    return;
  }
  replace({ value, mean, square: squares }, () => {
    const g = decayed(value, gradient, decay, scale);
    const m = add(mean, mul(sub(g, mean), 1 - beta1));
    const s = add(mul(squares, beta2), mul(square(g), 1 - beta2));
    const below = add(div(sqrt(s), root), epsilon);
    return { mean: m, square: s, value: moved(value, div(mul(m, rate), below), shrink) };
  });
}

/**
 * What gradients must be multiplied by, so that their norm, of all of them together, is at most `norm`: a scalar, 1 where it is smaller
 * already. As in PyTorch, 1e-6 is added to the norm that it divides by. Not finite where a gradient is not.
 */
export function clipScale(gradients: readonly Tensor[], norm: number): Tensor {
  return tidy(() => {
    const squares = gradients.map(sumSquares);
    const total = sqrt(addN(squares));
    return minimum(div(norm, add(total, 1e-6)), 1);
  });
}

function sumSquares(x: Tensor): Tensor {
  return getKernel(SUM_SQUARES, engine().backendName) ? kernel(SUM_SQUARES, { x }, {}) : sum(square(cast(x, 'float32')));
}

const decayed = (value: Tensor, gradient: Tensor, decay: number, scale: Tensor | undefined): Tensor => {
  const scaled = scale ? mul(gradient, scale) : gradient;
  return decay === 0 ? scaled : add(scaled, mul(value, decay));
};

const moved = (value: Tensor, by: Tensor, shrink: number): Tensor => sub(value, shrink === 0 ? by : add(by, mul(value, shrink)));

/** Whether the active backend has the kernel; then the tensors that it writes are made their own if others share their memory. */
function inPlace(name: string, ...written: (Variable | undefined)[]): boolean {
  const { backendName, backend } = engine();
  if (!getKernel(name, backendName)) return false;
  for (const variable of written) {
    if (!variable || backend.refCount(variable.dataId) === 1) continue;
    const own = tidy(() => mul(variable, 1));
    variable.assign(own);
    own.dispose();
  }
  return true;
}

/** Runs a kernel that has no result but what it changes. */
function change(name: string, inputs: object, attributes: object): void {
  engine().runKernel(name, inputs as NamedTensorMap, attributes as never);
}

function replace<Names extends string>(
  variables: Record<Names, Variable | undefined>,
  compute: () => Partial<Record<Names, Tensor>>,
): void {
  const made = tidy(compute as () => Record<string, Tensor>);
  for (const [name, tensor] of Object.entries(made)) {
    variables[name as Names]?.assign(tensor);
    tensor.dispose();
  }
}

function check(who: string, value: Variable, others: Record<string, Tensor | undefined>): void {
  for (const [name, other] of Object.entries(others)) {
    if (!other || (other.dtype === 'float32' && other.shape.join() === value.shape.join())) continue;
    throw new VggError(
      'VGG_SHAPE',
      `${who}: expected a ${name} of the value's shape, float32 [${value.shape.join(', ')}], received ${other.dtype} [${other.shape.join(', ')}]`,
    );
  }
}
