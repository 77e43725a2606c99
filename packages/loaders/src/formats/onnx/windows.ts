import type { Node } from './model.js';

/** Strides, windows and pads of ONNX's convolutions and pools, as far as the layers of a VGG have them. */

type Pair = readonly [number, number];

/** What a Pad adds on every side. */
export interface Padding {
  readonly pad: number;
  readonly mode: string;
}

/** Two numbers, of height and width; 1 and 1 where there are none. */
export function pairOf({ attributes }: Node, key: 'strides' | 'dilations' | 'kernel_shape'): Pair | undefined {
  const [height, width, ...more] = attributes.get(key)?.ints ?? [1, 1];
  const whole = (value: number | undefined): value is number => value !== undefined && value >= 1 && value < 2 ** 16;
  return whole(height) && whole(width) && more.length === 0 ? [height, width] : undefined;
}

export function isSquare(pair: Pair | undefined): pair is Pair {
  return pair !== undefined && pair[0] === pair[1];
}

/** The cells added on every side, or `same`; undefined for what is neither. */
export function paddingOf(node: Node, kernel: Pair, dilation: number): number | 'same' | undefined {
  const auto = node.attributes.get('auto_pad')?.text ?? 'NOTSET';
  const isOdd = kernel[0] % 2 === 1 && kernel[1] % 2 === 1;
  if (auto === 'VALID') return 0;
  // The odd cell goes below and right, as TensorFlow's does; with SAME_LOWER it would go above and left.
  if (auto === 'SAME_UPPER') return 'same';
  if (auto === 'SAME_LOWER') return isOdd && isUnit(pairOf(node, 'strides')) ? 'same' : undefined;
  const [top, left, bottom, right] = padsOf(node);
  if (top === bottom && left === right && top === left) return top;
  const keeps = top! + bottom! === dilation * (kernel[0] - 1) && left! + right! === dilation * (kernel[1] - 1);
  const upper = bottom! - top! <= 1 && bottom! >= top! && right! - left! <= 1 && right! >= left!;
  return keeps && upper && isUnit(pairOf(node, 'strides')) ? 'same' : undefined;
}

const isUnit = (pair: Pair | undefined) => pair?.[0] === 1 && pair[1] === 1;

/** A last window that lies partly beyond the map, as rounding up has it, may also be had by cells added below and right. */
export function ceilPad(node: Node, stride: number): boolean {
  return stride > 1 && String(padsOf(node)) === String([0, 0, stride - 1, stride - 1]);
}

function padsOf({ attributes }: Node): readonly number[] {
  const pads = attributes.get('pads')?.ints ?? [];
  return pads.length === 4 ? pads : [0, 0, 0, 0];
}
