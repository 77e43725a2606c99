import { VggError } from '@vgg/errors';
import { countOf } from '../../dtype.js';
import { product } from '../../numbers.js';
import type { ReadOptions, Source } from '../../source.js';
import type { Siblings } from '../siblings.js';
import { collect, type StoredTensor } from '../tensors.js';
import type { Model, Node } from './model.js';
import type { Initialiser } from './tensor.js';
import { initialiserTensor } from './tensor.js';

/** Values that are read when the file is opened: the sizes of a Reshape, the pads of a Pad. */
const MAX_SMALL = 64;
/** Forms of a form: a Cast of a DequantizeLinear of a Transpose is three. */
const MAX_FORMS = 16;
/** Quantised values have one scale for each channel of an axis; dense layers are the widest. */
const MAX_SCALES = 2 ** 20;

/** A tensor that the graph computes out of initialisers alone, such as weights that are stored as int8 and dequantised. */
export interface Constant {
  /** The initialiser's name. */
  readonly from: string;
  readonly tensor: StoredTensor;
}

/** What quantised values stand for: (value - zero) * scales, along `axis` where there are as many scales as it is long. */
export interface Quantisation {
  /** One after another multiplied: a bias has the input's scale and the weight's. */
  readonly scales: readonly Constant[];
  readonly zero?: Constant | undefined;
  readonly axis: number;
}

/** Which values of a graph are known without running it, and what they are. */
export interface Constants {
  has(name: string | undefined): name is string;
  /** Undefined for what is not constant, and for empty names, which are inputs left out. */
  get(name: string | undefined): Constant | undefined;
  /** Up to {@link MAX_SMALL} values, read now. */
  small(name: string | undefined): Promise<readonly number[] | undefined>;
  /** The initialisers that were asked for. */
  readonly used: ReadonlySet<string>;
}

/** Operations that say the same values in another form. */
const FORMS: ReadonlySet<string> = new Set([
  'Identity',
  'Cast',
  'QuantizeLinear',
  'DequantizeLinear',
  'Transpose',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
]);

/**
 * @param nodes in the order they run
 * @throws VggError `VGG_FORMAT` or `VGG_INTEGRITY` where an initialiser that is asked for cannot be read
 */
export function constantsOf(
  { initialisers }: Pick<Model, 'initialisers'>,
  nodes: readonly Node[],
  source: Source,
  siblings: Siblings,
  options: ReadOptions,
): Constants {
  const computed = new Map<string, Node>();
  const used = new Set<string>();
  const has = (name: string | undefined): name is string =>
    name !== undefined && name !== '' && (initialisers.has(name) || computed.has(name));
  for (const node of nodes) {
    if (FORMS.has(node.op) && node.outputs.length === 1 && node.inputs.every((name) => name === '' || has(name))) {
      computed.set(node.outputs[0]!, node);
    }
  }
  const fromFile = (initialiser: Initialiser): Constant => {
    used.add(initialiser.name);
    return { from: initialiser.name, tensor: initialiserTensor(initialiser, source, siblings) };
  };
  const plain = (name: string | undefined): Constant | undefined => {
    const initialiser = initialisers.get(name ?? '');
    return initialiser && fromFile(initialiser);
  };
  const get = (name: string | undefined): Constant | undefined => {
    const steps: Node[] = [];
    let at = name ?? '';
    // A form is of one constant, which may be a form itself.
    for (let node = computed.get(at); node && !initialisers.has(at); node = computed.get(at)) {
      if (steps.push(node) > MAX_FORMS) return undefined;
      at = node.inputs[0] ?? '';
    }
    let constant = plain(at);
    for (const node of steps.reverse()) constant = constant && inForm(node, constant, plain);
    return constant;
  };
  return {
    has,
    get,
    used,
    async small(name) {
      const constant = get(name);
      if (!constant?.tensor.info.present || count(constant) > MAX_SMALL) return undefined;
      return [...(await allValues(constant, options))];
    },
  };
}

function inForm(node: Node, constant: Constant, plain: Constants['get']): Constant | undefined {
  const { op, inputs, attributes } = node;
  if (op === 'DequantizeLinear') {
    // Training with quantisation in mind stores floats and rounds them as it runs: they are the weights.
    if (constant.tensor.info.dtype.includes('float')) return constant;
    const scale = plain(inputs[1]);
    const zero = plain(inputs[2]);
    if (!scale || (inputs[2] && !zero) || attributes.get('block_size')?.int) return undefined;
    return dequantised(constant, { scales: [scale], zero, axis: attributes.get('axis')?.int ?? 1 });
  }
  if (op === 'Transpose') return transposed(constant, attributes.get('perm')?.ints);
  return op === 'Reshape' || op === 'Squeeze' || op === 'Unsqueeze' || op === 'Flatten' ? asVector(constant) : constant;
}

/** The same values with the axes in another order; by default the reverse. */
export function transposed(constant: Constant, order?: readonly number[]): Constant | undefined {
  const { info } = constant.tensor;
  const { shape } = info;
  const perm = order ?? shape.map((_, axis) => shape.length - 1 - axis);
  if (perm.length !== shape.length || shape.some((_, axis) => !perm.includes(axis))) return undefined;
  const axes = (info.axes ?? shape.map((_, axis) => axis)).map((axis) => perm.indexOf(axis));
  const { axes: _, ...rest } = info;
  const inOrder = axes.every((axis, i) => axis === i);
  const turned = { ...rest, shape: perm.map((axis) => shape[axis]!), ...(!inOrder && { axes }) };
  return { ...constant, tensor: { ...constant.tensor, info: turned } };
}

/** A tensor with one axis that counts, such as [1, C, 1, 1], without the others. */
export function asVector(constant: Constant): Constant | undefined {
  const { axes: _, ...info } = constant.tensor.info;
  if (info.shape.filter((size) => size !== 1).length > 1) return undefined;
  return { ...constant, tensor: { ...constant.tensor, info: { ...info, shape: [count(constant)] } } };
}

/**
 * Quantised values as the floats that they stand for.
 * @throws VggError `VGG_INTEGRITY` where the scales are neither one nor as many as the axis is long
 */
export function dequantised(constant: Constant, { scales, zero, axis: given }: Quantisation): Constant {
  const { tensor } = constant;
  const { info } = tensor;
  const axis = given < 0 ? given + info.shape.length : given;
  for (const factor of zero ? [...scales, zero] : scales) {
    const many = count(factor);
    const ofAxis = !info.axes && many === info.shape[axis];
    if (many !== 1 && (!ofAxis || many > MAX_SCALES)) {
      throw new VggError(
        'VGG_INTEGRITY',
        `"${constant.from}": expected one scale and zero point, or one for each of axis ${given} of [${info.shape}], received ${many}`,
      );
    }
  }
  const inner = product(info.shape.slice(axis + 1));
  const missing = [...scales, ...(zero ? [zero] : [])].find((factor) => !factor.tensor.info.present);
  return {
    ...constant,
    tensor: {
      info: missing ? { ...info, present: false, absence: missing.tensor.info.absence ?? 'its scales are not there' } : info,
      async *stream(options) {
        const factors = await Promise.all(scales.map((scale) => allValues(scale, options)));
        const zeros = zero ? await allValues(zero, options) : Float32Array.of(0);
        const channels = Math.max(zeros.length, ...factors.map(({ length }) => length));
        const products = Float32Array.from({ length: channels }, (_, c) =>
          factors.reduce((scale, each) => Math.fround(scale * each[each.length === 1 ? 0 : c]!), 1),
        );
        let at = 0;
        for await (const piece of tensor.stream(options)) {
          // As runtimes compute it: a difference of whole numbers, made a float, times the scale.
          for (let i = 0; i < piece.length; ) {
            const channel = channels === 1 ? 0 : Math.floor((at + i) / inner) % channels;
            const end = channels === 1 ? piece.length : Math.min(piece.length, i + inner - ((at + i) % inner));
            const offset = zeros[zeros.length === 1 ? 0 : channel]!;
            const scale = products[channel]!;
            for (; i < end; i++) piece[i] = (piece[i]! - offset) * scale;
          }
          at += piece.length;
          yield piece;
        }
      },
    },
  };
}

function count({ tensor, from }: Constant): number {
  return countOf(tensor.info.shape, from);
}

function allValues(constant: Constant, options: ReadOptions): Promise<Float32Array> {
  return collect(constant.tensor.stream(options), count(constant));
}
