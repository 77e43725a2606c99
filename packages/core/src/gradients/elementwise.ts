import {
  cast,
  cos,
  div,
  greater,
  greaterEqual,
  less,
  lessEqual,
  log,
  logicalAnd,
  mul,
  neg,
  pow,
  sigmoid,
  sign,
  sin,
  square,
  step,
  sub,
  type Tensor,
  where,
  zerosLike,
} from '@tensorflow/tfjs-core';
import { type Rule, type Rules, unbroadcast } from './rule.js';

/** Of two inputs that are broadcast against each other: what each gets of `dy`. */
function binary(forA: (dy: Tensor, a: Tensor, b: Tensor) => Tensor, forB: (dy: Tensor, a: Tensor, b: Tensor) => Tensor): Rule {
  return {
    save: ['a', 'b'],
    gradient: (dy, [a, b]) => ({
      a: () => unbroadcast(forA(dy, cast(a, 'float32'), cast(b, 'float32')), a.shape),
      b: () => unbroadcast(forB(dy, cast(a, 'float32'), cast(b, 'float32')), b.shape),
    }),
  };
}

/** Of one input, from its value. */
function fromInput(derivative: (dy: Tensor, x: Tensor, attributes: Record<string, never>) => Tensor): Rule {
  return { save: ['x'], gradient: (dy, [x], attributes) => ({ x: () => derivative(dy, cast(x, 'float32'), attributes) }) };
}

/** Of one input, from the value of the result. */
function fromOutput(derivative: (dy: Tensor, y: Tensor) => Tensor): Rule {
  return { saveOutput: true, gradient: (dy, [y]) => ({ x: () => derivative(dy, y) }) };
}

const flat: Rule = { gradient: (dy) => ({ x: () => zerosLike(dy) }) };

/** `where` instead of a product, so that infinite gradients do not turn zeros into NaN. */
function masked(condition: Tensor, dy: Tensor): Tensor {
  return where(condition, dy, zerosLike(dy));
}

/** d(op)/d(input) of tfjs's kernels that compute a cell from the same cells. */
export const ELEMENTWISE: Rules = {
  Add: binary((dy) => dy, (dy) => dy), // biome-ignore format: one input a function
  Sub: binary((dy) => dy, (dy) => neg(dy)), // biome-ignore format: one input a function
  Multiply: binary((dy, _a, b) => mul(dy, b), (dy, a) => mul(dy, a)), // biome-ignore format: one input a function
  RealDiv: binary((dy, _a, b) => div(dy, b), (dy, a, b) => neg(div(mul(dy, a), square(b)))), // biome-ignore format: one input a function
  SquaredDifference: binary(
    (dy, a, b) => mul(dy, mul(2, sub(a, b))),
    (dy, a, b) => mul(dy, mul(2, sub(b, a))),
  ),
  // At equality all goes to a, as in TensorFlow.
  Maximum: binary((dy, a, b) => masked(greaterEqual(a, b), dy), (dy, a, b) => masked(less(a, b), dy)), // biome-ignore format: one input a function
  Minimum: binary((dy, a, b) => masked(lessEqual(a, b), dy), (dy, a, b) => masked(greater(a, b), dy)), // biome-ignore format: one input a function
  Pow: binary(
    (dy, a, b) => mul(dy, mul(b, pow(a, sub(b, 1)))),
    // The logarithm of a base that is not positive is left out, as in TensorFlow.
    (dy, a, b) => mul(dy, masked(greater(a, 0), mul(pow(a, b), log(where(greater(a, 0), a, zerosLike(a)))))),
  ),

  Abs: fromInput((dy, x) => mul(dy, sign(x))),
  Cos: fromInput((dy, x) => neg(mul(dy, sin(x)))),
  Log: fromInput((dy, x) => div(dy, x)),
  Log1p: fromInput((dy, x) => div(dy, sub(x, -1))),
  Relu6: fromInput((dy, x) => masked(logicalAnd(greater(x, 0), less(x, 6)), dy)),
  Sin: fromInput((dy, x) => mul(dy, cos(x))),
  Softplus: fromInput((dy, x) => mul(dy, sigmoid(x))),
  Square: fromInput((dy, x) => mul(dy, mul(2, x))),
  LeakyRelu: fromInput((dy, x, { alpha }) => mul(dy, step(x, alpha))),
  ClipByValue: fromInput((dy, x, { clipValueMin, clipValueMax }) =>
    masked(logicalAnd(greaterEqual(x, clipValueMin), lessEqual(x, clipValueMax)), dy),
  ),

  Elu: fromOutput((dy, y) => mul(dy, where(greater(y, 0), step(y), sub(y, -1)))),
  Exp: fromOutput((dy, y) => mul(dy, y)),
  Expm1: fromOutput((dy, y) => mul(dy, sub(y, -1))),
  Reciprocal: fromOutput((dy, y) => neg(mul(dy, square(y)))),
  Relu: fromOutput((dy, y) => masked(greater(y, 0), dy)),
  Rsqrt: fromOutput((dy, y) => mul(dy, mul(-0.5, mul(y, square(y))))),
  Sigmoid: fromOutput((dy, y) => mul(dy, mul(y, sub(1, y)))),
  Sqrt: fromOutput((dy, y) => div(dy, mul(2, y))),
  Tanh: fromOutput((dy, y) => mul(dy, sub(1, square(y)))),

  Neg: { gradient: (dy) => ({ x: () => neg(dy) }) },
  Identity: { gradient: (dy) => ({ x: () => cast(dy, 'float32') }) },
  Cast: { gradient: (dy) => ({ x: () => cast(dy, 'float32') }) },
  Ceil: flat,
  Floor: flat,
  Round: flat,
  Sign: flat,
  Step: flat,
  ZerosLike: flat,
  OnesLike: flat,

  AddN: {
    save: 'all',
    gradient: (dy, saved) => Object.fromEntries(saved.map((_, i) => [i, () => cast(dy, 'float32')])),
  },
  Select: {
    save: ['condition'],
    gradient: (dy, [condition]) => ({
      condition: () => zerosLike(cast(condition, 'float32')),
      t: () => masked(condition, dy),
      e: () => where(condition, zerosLike(dy), dy),
    }),
  },
};
