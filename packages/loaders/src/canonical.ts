import { throwIfAborted, VggError } from '@vgg/errors';
import type { StreamOptions, TensorInfo, WeightFile } from './format.js';
import { nameTensors } from './names/naming.js';
import { product } from './numbers.js';
import { cStrides, type Reorder, reorder } from './reorder.js';
import type { ReadOptions } from './source.js';
import type { Naming, Part, Place, WeightSpec } from './spec.js';

/** Where one canonical tensor is in a file, and how its values are to be brought into order. */
export interface MappedTensor {
  /** `conv1_1.weight`, `conv1_1.bias`, `fc6.weight`, `bn1_1.scale` ... */
  readonly name: string;
  /** In canonical layout: filters [kh, kw, in, out], dense [in, out], the rest [channels]. */
  readonly shape: readonly number[];
  /** The file's tensor; undefined where the file has none because all its values are `fill`. */
  readonly tensor: string | undefined;
  /** What a tensor that the file leaves out is full of: the bias of a convolution that only its normalisation offsets. */
  readonly fill?: number;
  /** False where the file names it but lacks its bytes. */
  readonly present: boolean;
  readonly absence?: string;
  /** Undefined where the stored order is the canonical one. */
  readonly reorder?: Reorder;
}

/** A weight file seen through the names of an architecture. */
export interface Mapping {
  readonly naming: Naming;
  readonly tensors: ReadonlyMap<string, MappedTensor>;
  /** Canonical tensors that cannot be read: not named by the file, or named without their bytes. */
  readonly missing: readonly string[];
  /** The file's tensors that no layer of the architecture takes. */
  readonly unknown: readonly string[];
  /** The file's tensors that carry no weights, such as `num_batches_tracked`. */
  readonly ignored: readonly string[];
}

/** The canonical tensor names and shapes of a layer: what {@link canonicalise} looks for. */
export function canonicalTensors(spec: WeightSpec): { name: string; part: Part; shape: readonly number[] }[] {
  const channels = [spec.shape.at(-1)!];
  if (spec.kind === 'batchnorm') {
    return (['scale', 'offset', 'mean', 'variance'] as const).map((part) => ({ name: `${spec.name}.${part}`, part, shape: channels }));
  }
  const weight = { name: `${spec.name}.weight`, part: 'weight' as const, shape: spec.shape };
  return spec.bias === false ? [weight] : [weight, { name: `${spec.name}.bias`, part: 'bias', shape: channels }];
}

/**
 * Finds an architecture's weights in a file, whatever the file calls them (the names of Keras, torchvision,
 * timm, Caffe, MATLAB, TensorFlow, or any others in the order of the layers) and however it
 * lays them out. Nothing is read yet.
 *
 * @throws VggError `VGG_SHAPE` if a tensor found has another shape than the layer, `VGG_FORMAT` if no name is of any known naming
 * @example
 * const mapping = canonicalise(file, specs);
 * mapping.missing // ['conv4_1.weight', ...]
 * const filters = await readCanonical(file, mapping, 'conv1_1.weight'); // HWIO, whatever the file's order
 */
export function canonicalise(file: WeightFile, specs: readonly WeightSpec[]): Mapping {
  const { naming, places, ignored } = nameTensors(file, specs);
  const found = new Map<string, { place: Place; info: TensorInfo }>();
  for (const [tensor, place] of places) {
    const key = `${place.layer}.${place.part}`;
    const before = found.get(key);
    if (before) {
      throw new VggError('VGG_FORMAT', `${file.format}: expected one tensor for ${key}, received "${before.info.name}" and "${tensor}"`);
    }
    found.set(key, { place, info: file.tensors.get(tensor)! });
  }
  const fill = leftOut(specs, new Set(found.keys()));
  const tensors = new Map<string, MappedTensor>();
  const missing: string[] = [];
  for (const spec of specs) {
    for (const { name, part, shape } of canonicalTensors(spec)) {
      const hit = found.get(name);
      const value = hit ? undefined : fill(spec, part);
      if (value !== undefined) tensors.set(name, { name, shape, tensor: undefined, fill: value, present: true });
      else if (!hit?.info.present) missing.push(name);
      if (!hit) continue;
      const { info, place } = hit;
      const isWeight = part === 'weight' && spec.kind !== 'batchnorm';
      if (isWeight && (naming === 'keras' || naming === 'tensorflow')) refuseChannelsFirst(file, spec, info);
      const order = isWeight ? weightOrder(spec, info, place.outputFirst) : vectorOrder(name, shape, info);
      tensors.set(name, {
        name,
        shape,
        tensor: info.name,
        present: info.present,
        ...(info.absence !== undefined && { absence: info.absence }),
        ...(order && { reorder: order }),
      });
    }
  }
  const taken = new Set([...tensors.values()].map(({ tensor }) => tensor));
  const idle = new Set(ignored);
  const unknown = [...file.tensors.keys()].filter((name) => !taken.has(name) && !idle.has(name));
  return { naming, tensors, missing, unknown, ignored };
}

/**
 * The values of one canonical tensor, bit for bit those of the file, in canonical layout.
 * @throws VggError `VGG_WEIGHTS_MISSING` if the file does not have it; what reading the file throws
 */
export async function readCanonical(file: WeightFile, mapping: Mapping, name: string, options: ReadOptions = {}): Promise<Float32Array> {
  throwIfAborted(options.signal, name);
  const mapped = mapping.tensors.get(name);
  if (!mapped?.present) {
    const why = mapped?.absence ?? `nothing in the file is known as it, by ${mapping.naming} names`;
    throw new VggError('VGG_WEIGHTS_MISSING', `${name}: the weights are not there (${why}); pass a whole file or ask for an earlier layer`);
  }
  if (mapped.tensor === undefined) return new Float32Array(product(mapped.shape)).fill(mapped.fill ?? 0);
  if (!mapped.reorder) return file.read(mapped.tensor, options);
  return reorder(file.stream(mapped.tensor, { ...options, reuse: true }), product(mapped.shape), mapped.reorder, options);
}

/** The same piece by piece; in one piece where the values have to be brought into order. */
export async function* streamCanonical(
  file: WeightFile,
  mapping: Mapping,
  name: string,
  options: StreamOptions = {},
): AsyncGenerator<Float32Array> {
  const mapped = mapping.tensors.get(name);
  if (mapped?.present && mapped.tensor !== undefined && !mapped.reorder) yield* file.stream(mapped.tensor, options);
  else yield await readCanonical(file, mapping, name, options);
}

/**
 * Programs leave out what batch normalisation makes idle: the bias before it (`bias=False`, `use_bias=False`), its scale or its offset.
 * That is so where no layer of the file has one; a file with some of them is one with holes.
 */
function leftOut(specs: readonly WeightSpec[], found: ReadonlySet<string>): (spec: WeightSpec, part: Part) => number | undefined {
  const normalised = new Set(specs.filter((_, i) => specs[i + 1]?.kind === 'batchnorm'));
  const has = (part: Part) => specs.some((spec) => spec.kind !== 'dense' && found.has(`${spec.name}.${part}`));
  const [noBias, noScale, noOffset] = [!has('bias'), !has('scale'), !has('offset')];
  return (spec, part) => {
    if (spec.kind === 'batchnorm') {
      if (!found.has(`${spec.name}.mean`)) return undefined;
      return part === 'scale' && noScale ? 1 : part === 'offset' && noOffset ? 0 : undefined;
    }
    return part === 'bias' && noBias && normalised.has(spec) && found.has(`${spec.name}.weight`) ? 0 : undefined;
  };
}

function vectorOrder(name: string, shape: readonly number[], info: TensorInfo): undefined {
  if (product(info.shape) !== product(shape) || info.shape.filter((size) => size !== 1).length > 1) throw wrongShape(name, [shape], info);
}

/** Theano's filters are OIHW and mirrored; and a model run channels-first flattens into fc6 in another order than its filters tell. */
function refuseChannelsFirst(file: WeightFile, spec: WeightSpec, info: TensorInfo): void {
  const [kh, kw, channels, outputs] = fourAxes(spec);
  const theano = info.shape.length === 4 && same(info.shape, [outputs, channels, kh, kw]) && !same(info.shape, [kh, kw, channels, outputs]);
  const flattened = spec.flattenedFrom && /"data_format": ?"channels_first"/.test(file.metadata.get('model_config') ?? '');
  if (!theano && !flattened) return;
  throw new VggError(
    'VGG_FORMAT',
    `${info.name}: expected Keras weights in TensorFlow's channels-last order, received channels-first ones; use the "tf_dim_ordering_tf_kernels" file`,
  );
}

/**
 * The four-axis view of a layer's weight is [kh, kw, in, out]; a dense layer is a 1x1 convolution, or one of the window it flattens.
 * A file may hold it with the output last, as it is or flattened, or with the output first and the channels before the window.
 */
function weightOrder(spec: WeightSpec, info: TensorInfo, outputFirst: boolean | undefined): Reorder | undefined {
  const [kh, kw, channels, outputs] = fourAxes(spec);
  const last = [
    [kh, kw, channels, outputs],
    [kh * kw * channels, outputs],
  ];
  const first = [
    [outputs, channels, kh, kw],
    [outputs, channels * kh * kw],
  ];
  const isLast = last.some((shape) => same(shape, info.shape));
  const isFirst = first.some((shape) => same(shape, info.shape));
  const takesFirst = outputFirst === undefined ? !isLast : outputFirst;
  // Files of either order are known under the names of the other: the shape decides where it can.
  if (isFirst && (takesFirst || !isLast)) {
    if (info.shape.length === 4) {
      return inFileOrder({ sizes: info.shape, strides: [1, outputs, kw * channels * outputs, channels * outputs] }, info.axes);
    }
    const axes = info.axes?.flatMap((axis) => (axis === 0 ? [0] : [1, 2])); // a matrix's inputs are taken apart here
    return inFileOrder({ sizes: [outputs, channels, kh * kw], strides: [1, outputs, channels * outputs] }, axes);
  }
  if (isLast) return info.axes && inFileOrder({ sizes: info.shape, strides: cStrides(info.shape) }, info.axes);
  throw wrongShape(`${spec.name}.weight`, outputFirst ? first : last, info);
}

/** The same for values that come in another order of the axes than that of the shape. */
function inFileOrder({ sizes, strides }: Reorder, axes: readonly number[] | undefined): Reorder {
  if (!axes) return { sizes, strides };
  return { sizes: axes.map((axis) => sizes[axis]!), strides: axes.map((axis) => strides[axis]!) };
}

function fourAxes({ shape, flattenedFrom }: WeightSpec): [number, number, number, number] {
  if (shape.length === 4) return shape as unknown as [number, number, number, number];
  const [h, w, c] = flattenedFrom ?? [1, 1, shape[0]!];
  return [h, w, c, shape[1]!];
}

function wrongShape(name: string, expected: readonly (readonly number[])[], info: TensorInfo): VggError {
  const shapes = [...new Set(expected.map((shape) => `[${shape}]`))].join(' or ');
  return new VggError(
    'VGG_SHAPE',
    `${name}: expected shape ${shapes}, received [${info.shape}] in "${info.name}"; the weights are of another architecture`,
  );
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}
