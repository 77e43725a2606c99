import { VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import type { DType, TensorInfo } from '../../format.js';
import { shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { MAX_AXES } from '../pickle/limits.js';
import { type Call, corrupt, describeValue, Instance, isWhole, type Value } from '../pickle/values.js';
import { contiguousTensor, PIECE, type StoredTensor } from '../tensors.js';

/** Where values lie in a file, apart from their shape: several tensors may share one. */
export class Storage extends Instance {
  readonly key: string;
  /** Undefined for one of bytes, whose tensors say what they are of. */
  readonly type: DType | undefined;
  /** Elements in the file, or bytes where there is no type. */
  readonly total: number;
  /** The part that this one is: old files have views of storages. */
  readonly start: number;
  readonly count: number;

  constructor(key: string, type: DType | undefined, total: number, start = 0, count = total) {
    super();
    this.key = key;
    this.type = type;
    this.total = total;
    this.start = start;
    this.count = count;
  }

  /** Bytes in the file. */
  get bytes(): number {
    return this.total * (this.type ? DTYPE_BYTES[this.type] : 1);
  }

  build(_state: Value, { who }: Call): void {
    throw corrupt(who, 'it gives a state to a storage');
  }
}

/** Most values of a tensor that repeats its storage (`expand`): there is no file behind them that would bound them. */
const MAX_REPEATED = 2 ** 20;

/** A tensor as PyTorch has it: a storage, where it begins in it, its shape, and how far apart neighbours on each axis are. */
export class TorchTensor extends Instance {
  storage: Storage | undefined;
  type: DType = 'float32';
  /** In elements from the beginning of the stored values. */
  offset = 0;
  shape: readonly number[] = [];
  strides: readonly number[] = [];

  /** @throws VggError `VGG_INTEGRITY` unless every value is inside the storage */
  set(parts: readonly Value[], who: string, type?: DType): void {
    const [storage, offset, shape, strides] = parts;
    if (!(storage instanceof Storage)) throw corrupt(who, `a tensor in it has ${describeValue(storage)} as its storage`);
    const known = type ?? storage.type;
    if (!isWhole(offset) || !isSizes(shape) || !isSizes(strides) || shape.length !== strides.length || !known) {
      throw corrupt(who, 'a tensor in it has no whole numbers as its offset, shape and strides');
    }
    const width = storage.type ? 1 : DTYPE_BYTES[known]; // storages of bytes count bytes
    const count = countOf(shape, `${who}: a tensor`);
    const last = count === 0 ? 0 : shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, offset + 1);
    if (last * width > storage.count) {
      throw new VggError(
        'VGG_INTEGRITY',
        `${who}: expected tensors inside their storages, received one of ${last} values [${shape}] in a storage of ${storage.count / width}`,
      );
    }
    if (count * width > storage.count && count > MAX_REPEATED) {
      throw new VggError(
        'VGG_INTEGRITY',
        `${who}: expected at most ${MAX_REPEATED} values of a tensor that repeats its storage, received [${shape}]`,
      );
    }
    Object.assign(this, { storage, type: known, offset: offset + storage.start, shape, strides });
  }

  /** Before 2017, tensors and variables were made empty and then told what they are. */
  build(state: Value, { who }: Call): void {
    if (!Array.isArray(state)) throw corrupt(who, `it gives ${describeValue(state)} to a tensor as its state`);
    const [data] = state;
    if (state.length === 4) this.set(state, who);
    else if (data instanceof TorchTensor) {
      // A variable of five parts: (data, grad, hooks, requires_grad, volatile); of three, it has its data already.
      const { storage, type, offset, shape, strides } = data;
      Object.assign(this, { storage, type, offset, shape, strides });
    }
  }
}

function isSizes(value: Value | undefined): value is number[] {
  return Array.isArray(value) && value.length <= MAX_AXES && value.every(isWhole);
}

/** The tensor's values where its storage begins at `start` in a source. The caller has checked that the storage is inside it. */
export function storageTensor(name: string, tensor: TorchTensor, source: Source, start: number, littleEndian: boolean): StoredTensor {
  const { shape, type } = tensor;
  const info: TensorInfo = { name, shape, dtype: type, present: true };
  const at = start + tensor.offset * DTYPE_BYTES[type];
  if (isDense(tensor, naturalOrder(shape))) return contiguousTensor(info, source, at, littleEndian);
  const axes = byStride(tensor);
  if (isDense(tensor, axes)) return contiguousTensor({ ...info, axes }, source, at, littleEndian);
  checkApart(tensor, axes, `${source.name}: ${shown(name)}`);
  return gatheredTensor({ ...info, axes }, tensor, source, at, littleEndian);
}

/** Whether the file is gone through once: no axis comes back to where those within it have been, unless it repeats them as they are. */
function checkApart({ shape, strides }: TorchTensor, axes: readonly number[], who: string): void {
  let extent = 1;
  for (const axis of axes.toReversed()) {
    const stride = strides[axis]!;
    if (shape[axis] === 1 || stride === 0) continue;
    if (stride < extent) {
      throw new VggError(
        'VGG_FORMAT',
        `${who}: expected values that do not overlap, received strides [${strides}] of shape [${shape}]; save a clone()`,
      );
    }
    extent += (shape[axis]! - 1) * stride;
  }
}

function naturalOrder(shape: readonly number[]): number[] {
  return shape.map((_, axis) => axis);
}

/** Whether the values lie end to end if the axes are taken in this order, the slowest first. */
function isDense({ shape, strides }: Pick<TorchTensor, 'shape' | 'strides'>, axes: readonly number[]): boolean {
  let stride = 1;
  for (const axis of axes.toReversed()) {
    if (shape[axis] !== 1 && strides[axis] !== stride) return shape.includes(0);
    stride *= shape[axis]!;
  }
  return true;
}

/** The axes in the order of the storage; those of one value say nothing and come last. */
function byStride({ shape, strides }: TorchTensor): number[] {
  const single = (axis: number) => (shape[axis] === 1 ? 1 : 0);
  return naturalOrder(shape).sort((a, b) => single(a) - single(b) || strides[b]! - strides[a]! || a - b);
}

/** Bytes read at a time for values that do not lie end to end. */
const SPAN = 2 ** 18;
/** Values farther apart than this many bytes are read one by one. */
const FAR = SPAN / 2;

/** A part of a larger tensor, such as every second filter: its values are picked out of the spans that they are in. */
function gatheredTensor(info: TensorInfo, tensor: TorchTensor, source: Source, start: number, littleEndian: boolean): StoredTensor {
  const { dtype, axes = [] } = info;
  const width = DTYPE_BYTES[dtype];
  const sizes = axes.map((axis) => info.shape[axis]!);
  const strides = axes.map((axis) => tensor.strides[axis]!);
  const count = countOf(sizes, source.name);
  const end = sizes.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 1);
  // How near the nearest two are; at no distance are those of an axis that repeats.
  const step = Math.min(...strides.filter((stride, axis) => stride > 0 && sizes[axis]! > 1));
  const span = step * width > FAR ? 1 : SPAN / width;
  return {
    info,
    async *stream(options: ReadOptions) {
      const index = sizes.map(() => 0);
      let values = new Float32Array(0);
      let first = 0; // of `values`, in elements from the tensor's beginning
      let at = 0;
      for (let done = 0; done < count; ) {
        const out = new Float32Array(Math.min(PIECE, count - done));
        for (let i = 0; i < out.length; i++) {
          if (at < first || at >= first + values.length) {
            const length = Math.min(span, end - at);
            values = toFloat32(await source.read(start + at * width, length * width, options), dtype, littleEndian);
            first = at;
          }
          out[i] = values[at - first]!;
          for (let axis = sizes.length - 1; axis >= 0; axis--) {
            at += strides[axis]!;
            if (++index[axis]! < sizes[axis]!) break;
            at -= sizes[axis]! * strides[axis]!;
            index[axis] = 0;
          }
        }
        done += out.length;
        yield out;
      }
    },
  };
}
