import { countOf } from '../../dtype.js';
import { product } from '../../numbers.js';
import { pastLimit } from '../../refusals.js';
import { readChunks } from '../hdf5/chunks.js';
import { corrupt, cursor } from '../hdf5/cursor.js';
import { charge, type Hdf5, readAt } from '../hdf5/file.js';
import { checkFilters, unfilter } from '../hdf5/filters.js';
import { MESSAGE, type Message, messageOfType } from '../hdf5/header.js';
import { type Layout, readFilters, readLayout } from '../hdf5/layout.js';
import { MAX_STRUCTURE } from '../hdf5/limits.js';
import { readSpace, readType, type Space } from '../hdf5/types.js';
import { MAX_VALUES } from './limits.js';

/** What a reference counts for in the metadata: its address, and the work of looking at it. */
const REFERENCE_COST = 64;

/** References to objects of the same file, by which MATLAB 7.3 writes cells. */
export interface References {
  readonly shape: readonly number[];
  /** The addresses of the objects' headers, in C order; undefined for a reference to nothing. */
  readonly addresses: readonly (number | undefined)[];
}

/** The references that a dataset holds (section IV.A.2.d, class 7, type 0), or undefined where it holds other values. */
export async function readReferences(file: Hdf5, messages: readonly Message[]): Promise<References | undefined> {
  const type = messageOfType(file, messages, MESSAGE.datatype);
  const space = messageOfType(file, messages, MESSAGE.dataspace);
  const layout = messageOfType(file, messages, MESSAGE.layout);
  if (!type || !space || !layout) return undefined;
  const { bytes: width } = readType(type);
  type.at = 0;
  if ((type.u8() & 15) !== 7 || (type.u8() & 15) !== 0) return undefined;
  if (width !== file.offsetSize) throw corrupt(file.who, `a reference has ${width} bytes`);
  const extent = readSpace(space, file);
  if (!extent) return { shape: [0], addresses: [] };
  const count = countOf(extent.shape, file.who);
  if (count > MAX_VALUES) throw pastLimit(file.who, `at most ${MAX_VALUES} cells`, count);
  charge(file, count * REFERENCE_COST);
  const data = cursor(await readBytes(file, messages, readLayout(layout, file), extent, count * width), file);
  return { shape: extent.shape, addresses: Array.from({ length: count }, () => data.address() || undefined) };
}

/** The bytes of a dataset of references, which are too long for the numbers that datasets are read as. */
async function readBytes(file: Hdf5, messages: readonly Message[], layout: Layout, extent: Space, bytes: number): Promise<Uint8Array> {
  if (layout.kind === 'compact') return layout.data;
  if (layout.kind === 'contiguous') return bytes === 0 ? new Uint8Array(0) : readAt(file, layout.address, bytes);
  const { shape, maxima } = extent;
  const { chunk, element, index } = layout;
  const unpacked = product(chunk) * element;
  if (chunk.length !== shape.length || chunk.some((side) => side < 1) || element !== file.offsetSize || unpacked > MAX_STRUCTURE)
    throw corrupt(file.who, `chunks of [${chunk}] do not fit the shape [${shape}]`);
  const fields = messageOfType(file, messages, MESSAGE.filters);
  const filters = fields ? readFilters(fields, file) : [];
  checkFilters(filters, file);
  const out = new Uint8Array(bytes);
  for (const { offset, address, bytes: packed, mask } of await readChunks(file, index, {
    shape,
    maxima,
    chunk,
    bytes: unpacked,
    filtered: filters.length > 0,
  })) {
    charge(file, unpacked);
    const data = new Uint8Array(unpacked);
    await unfilter(file, filters, mask, await readAt(file, address, packed), data);
    for (let i = 0; i * element < data.length; i++) {
      let place = 0;
      let inside = true;
      for (let axis = 0, rest = i, cells = data.length / element; axis < chunk.length; axis++) {
        cells /= chunk[axis]!;
        const at = offset[axis]! + Math.floor(rest / cells);
        rest %= cells;
        inside &&= at < shape[axis]!;
        place = place * shape[axis]! + at;
      }
      if (inside) out.set(data.subarray(i * element, (i + 1) * element), place * element);
    }
  }
  return out;
}
