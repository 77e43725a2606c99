import { type Constant, type Constants, dequantised } from './constants.js';
import type { Weights } from './layers.js';
import type { Node } from './model.js';

/**
 * The weights of the operations on whole numbers, as the floats that they stand for: QLinearConv and QLinearMatMul of ONNX, QGemm of
 * onnxruntime, and ConvInteger and MatMulInteger, whose scale is in a Mul behind them. Undefined where their form is another.
 */
export function quantisedWeights(
  node: Node,
  rest: readonly Node[],
  constants: Constants,
  producers: ReadonlyMap<string, Node>,
): Weights | undefined {
  if (node.op.endsWith('Integer')) return integerWeights(node, rest, constants, producers);
  // Input, its scale and zero point, weight, its scale and zero point; then the output's two, and QGemm's bias before them.
  const { inputs } = node;
  const [inputScale, stored, scale, zero] = [1, 3, 4, 5].map((i) => constants.get(inputs[i]));
  if (!inputScale || !stored || !scale) return undefined;
  const axis = outputAxis(node);
  const weight = dequantised(stored, { scales: [scale], zero, axis });
  const biasName = inputs[node.op === 'QGemm' ? 6 : 8];
  if (!biasName) return { weight, ...addedBias(rest[0], constants) };
  const bias = constants.get(biasName);
  return bias && { weight, bias: dequantised(bias, { scales: [inputScale, scale], axis: 0 }), nodes: 1 };
}

/** QLinearAdd of onnxruntime: a matrix product's bias, with a scale of its own. */
function addedBias(next: Node | undefined, constants: Constants): { bias?: Constant; nodes: number } {
  const at = next?.op === 'QLinearAdd' ? [0, 3].find((i) => constants.has(next.inputs[i])) : undefined;
  if (next === undefined || at === undefined) return { nodes: 1 };
  const [stored, scale, zero] = [0, 1, 2].map((i) => constants.get(next.inputs[at + i]));
  return stored && scale ? { bias: dequantised(stored, { scales: [scale], zero, axis: 0 }), nodes: 2 } : { nodes: 1 };
}

/** Dynamic quantisation: the product is cast to float and multiplied by the input's scale, known only then, times the weight's. */
function integerWeights(
  node: Node,
  [cast, mul]: readonly Node[],
  constants: Constants,
  producers: ReadonlyMap<string, Node>,
): Weights | undefined {
  if (cast?.op !== 'Cast' || mul?.op !== 'Mul') return undefined;
  const both = producers.get(mul.inputs.find((name) => name !== cast.outputs[0]) ?? '');
  const scale = both?.op === 'Mul' ? constants.get(both.inputs.find((name) => constants.has(name))) : undefined;
  const stored = constants.get(node.inputs[1]);
  if (!stored || !scale) return undefined;
  const zero = constants.get(node.inputs[3]);
  return { weight: dequantised(stored, { scales: [scale], zero, axis: outputAxis(node) }), nodes: 3 };
}

/** Which input is the zero point of what an operation gives. */
const OUTPUT_ZERO: ReadonlyMap<string, number> = new Map([
  ['QuantizeLinear', 2],
  ['QLinearConv', 7],
  ['QLinearMatMul', 7],
  ['QLinearAdd', 7],
  ['QGemm', 8],
]);

/**
 * Whether values below zero are cut off by quantising them: the least whole number stands for zero. Quantisers leave out a Relu where
 * that is so.
 */
export async function cutsBelowZero({ op, inputs }: Node, constants: Constants): Promise<boolean> {
  const index = OUTPUT_ZERO.get(op);
  if (index === undefined) return false;
  const name = inputs[index];
  if (!name) return true; // of a QuantizeLinear: unsigned, and 0
  const dtype = constants.get(name)?.tensor.info.dtype;
  const zero = await constants.small(name);
  return zero?.length === 1 && zero[0] === (dtype === 'int8' ? -128 : 0);
}

/** Filters have their outputs first, a matrix product's weight last. */
function outputAxis({ op, attributes }: Node): number {
  return op.includes('Conv') || attributes.get('transB')?.int ? 0 : 1;
}
