import { VggError } from '@vgg/errors';
import type { DType } from '../../format.js';
import { NUMPY_DTYPES } from '../numpy/dtypes.js';
import { opaque } from './globals.js';
import { MAX_AXES } from './limits.js';
import { type Bytes, type Call, corrupt, describeValue, Instance, isBytes, isWhole, type Make, textOf, type Value } from './values.js';

/** An element type: `type` is undefined for those that are no numbers, such as objects and text. */
class NumpyType extends Instance {
  readonly code: string;
  readonly type: DType | undefined;
  littleEndian = true;

  constructor(code: string) {
    super();
    this.code = code;
    this.type = NUMPY_DTYPES.get(code.replace(/^[<>|=]/, ''));
    this.littleEndian = !code.startsWith('>');
  }

  get isObject(): boolean {
    return this.code.startsWith('O');
  }

  /** (version, byte order, ...): the rest is of structures. */
  build(state: Value, { who }: Call): void {
    const order = Array.isArray(state) ? textOf(state[1]) : undefined;
    if (order === undefined) throw corrupt(who, `a NumPy type in it has ${describeValue(state)} as its state`);
    this.littleEndian = order !== '>';
  }
}

/** An array: its values are in the file, or in a list where they are objects. */
export class NumpyArray extends Instance {
  shape: number[] = [];
  type = new NumpyType('f8');
  isFortran = false;
  values: Bytes | Value[] | undefined;

  /** (version, shape, type, whether in Fortran's order, values), the oldest without version. */
  build(state: Value, { who }: Call): void {
    if (!Array.isArray(state) || state.length < 4 || state.length > 5) throw this.#wrong('state', state, who);
    const [shape, type, isFortran, values] = state.slice(-4);
    this.set(shape, type, isFortran === true || isFortran === 1, values, who);
  }

  set(shape: Value | undefined, type: Value | undefined, isFortran: boolean, values: Value | undefined, who: string): void {
    if (!Array.isArray(shape) || shape.length > MAX_AXES || !shape.every(isWhole)) throw this.#wrong('shape', shape, who);
    if (!(type instanceof NumpyType)) throw this.#wrong('type', type, who);
    if (type.isObject ? !Array.isArray(values) : !isBytes(values)) throw this.#wrong('values', values, who);
    Object.assign(this, { shape, type, isFortran, values });
  }

  #wrong(what: string, value: Value | undefined, who: string): VggError {
    return corrupt(who, `an array in it has ${describeValue(value)} as its ${what}`);
  }
}

/** Globals that numpy's arrays are pickled with; their modules were renamed in numpy 2. */
export const NUMPY: ReadonlyMap<string, Make> = new Map<string, Make>([
  ['numpy.ndarray', () => new NumpyArray()],
  ['numpy.dtype', dtype],
  ...['numpy.core', 'numpy._core'].flatMap((core): [string, Make][] => [
    [`${core}.multiarray._reconstruct`, () => new NumpyArray()],
    [`${core}.multiarray.scalar`, opaque],
    [`${core}.numeric._frombuffer`, fromBuffer],
  ]),
]);

function dtype([code]: readonly Value[], { who }: { who: string }): NumpyType {
  const text = textOf(code);
  if (text === undefined) throw corrupt(who, `a NumPy type in it is ${describeValue(code)}`);
  return new NumpyType(text);
}

/** Protocol 5: (bytes, type, shape, order). */
function fromBuffer([values, type, shape, order]: readonly Value[], { who }: { who: string }): NumpyArray {
  const array = new NumpyArray();
  array.set(shape, type, textOf(order) === 'F', values, who);
  return array;
}

/** The elements of an array of objects. @throws VggError `VGG_FORMAT` if it is one of numbers */
export function objectsOf(array: NumpyArray, who: string): readonly Value[] {
  if (Array.isArray(array.values)) return array.values;
  throw new VggError('VGG_FORMAT', `${who}: expected an array of objects, received one of ${array.type.code}`);
}
