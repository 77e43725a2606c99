import { unsupported } from '../../refusals.js';
import { bytesFor, readBtree2 } from './btree2.js';
import { type Cursor, corrupt, cursor } from './cursor.js';
import { checkSum, type Hdf5, readAt } from './file.js';
import { MAX_LEVELS, MAX_STRUCTURE } from './limits.js';

/** Section III.G: a fractal heap, in which groups and objects keep many links or attributes. */
export interface FractalHeap {
  readonly idLength: number;
  /** The object of an id. */
  get(id: Uint8Array): Promise<Uint8Array>;
}

interface Shape {
  flags: number;
  width: number;
  start: number;
  maxDirect: number;
  /** Bytes of an offset within the heap. */
  offsetBytes: number;
  directRows: number;
}

export async function openHeap(file: Hdf5, address: number): Promise<FractalHeap> {
  const { offsetSize: O, lengthSize: L } = file;
  const header = await readAt(file, address, 5 + 2 + 2 + 1 + 4 + 12 * L + 3 * O + 8 + 4);
  const fields = cursor(header, file);
  fields.signature('FRHP');
  fields.skip(1);
  const idLength = fields.u16();
  if (fields.u16() !== 0) throw unsupported(file.who, 'expected HDF5 heaps without filters, received a filtered one');
  checkSum(header, file.who);
  const flags = fields.u8();
  const maxManaged = fields.u32();
  fields.skip(L);
  const hugeTree = fields.address();
  fields.skip(L + O + 8 * L); // free space, statistics
  const width = fields.u16();
  const start = fields.length();
  const maxDirect = fields.length();
  const heapBits = fields.u16();
  fields.skip(2);
  const root = fields.address();
  const rows = fields.u16();
  if (!isPower(width) || !isPower(start) || !isPower(maxDirect) || start > maxDirect || maxDirect > MAX_STRUCTURE || heapBits > 64) {
    throw corrupt(file.who, 'a heap has impossible sizes');
  }
  const offsetBytes = Math.ceil(heapBits / 8);
  const shape: Shape = { flags, width, start, maxDirect, offsetBytes, directRows: Math.log2(maxDirect / start) + 2 };
  const lengthBytes = bytesFor(Math.min(maxDirect, maxManaged));
  return {
    idLength,
    async get(id) {
      const kind = (id[0]! >> 4) & 3;
      if (kind === 2) return tinyObject(id, file);
      const at = cursor(id, file);
      at.skip(1);
      if (kind === 1) return hugeObject(file, hugeTree, at);
      if (kind !== 0) throw corrupt(file.who, `a heap has an object of kind ${kind}`);
      const offset = at.uint(offsetBytes);
      const length = at.uint(lengthBytes);
      return managedObject(file, shape, root, rows, offset, length);
    },
  };
}

function isPower(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

function tinyObject(id: Uint8Array, file: Hdf5): Uint8Array {
  const length = (id[0]! & 15) + 1;
  return cursor(id.subarray(1), file).bytes(length);
}

/** An object past the heap's blocks (64 KiB), in a place of its own, which a B-tree knows where the id is too short for it. */
async function hugeObject(file: Hdf5, tree: number | undefined, id: Cursor): Promise<Uint8Array> {
  const { offsetSize: O, lengthSize: L } = file;
  if (id.end - id.at >= O + L) return readAt(file, id.address(), id.length());
  const key = id.uint(Math.min(L, id.end - id.at));
  if (tree === undefined) throw corrupt(file.who, 'a heap lacks its tree of huge objects');
  for (const record of await readBtree2(file, tree, 1)) {
    const fields = cursor(record, file);
    const address = fields.address();
    const length = fields.length();
    if (fields.length() === key) return readAt(file, address, length);
  }
  throw corrupt(file.who, 'a huge object is not in its heap');
}

/** Rows of blocks: the first two of the starting size, each further one twice the one before; `width` blocks in a row. */
function rowSize(shape: Shape, row: number): number {
  return row === 0 ? shape.start : shape.start * 2 ** (row - 1);
}

async function managedObject(
  file: Hdf5,
  shape: Shape,
  root: number | undefined,
  rows: number,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  let address = root;
  let blockStart = 0;
  let blockRows = rows;
  let size = shape.start;
  for (let level = 0; blockRows > 0; level++) {
    if (level > MAX_LEVELS || blockRows > 64) throw corrupt(file.who, 'a heap is too deep');
    const child = await childAt(file, shape, address, blockRows, offset - blockStart);
    address = child.address;
    blockStart += child.start;
    size = child.size;
    // An indirect child covers the rows whose blocks add up to its size.
    blockRows = child.direct ? 0 : Math.log2(size / (shape.start * shape.width)) + 1;
  }
  if (offset + length > blockStart + size) throw corrupt(file.who, 'a heap object leaves its block');
  const block = await readAt(file, address, 4);
  cursor(block, file).signature('FHDB');
  return readAt(file, address! + offset - blockStart, length);
}

interface Child {
  address: number | undefined;
  /** Within the block of this table. */
  start: number;
  size: number;
  direct: boolean;
}

/** The entry of an indirect block that covers an offset. */
async function childAt(file: Hdf5, shape: Shape, address: number | undefined, rows: number, offset: number): Promise<Child> {
  const frame = 5 + file.offsetSize + shape.offsetBytes;
  const block = await readAt(file, address, frame + rows * shape.width * file.offsetSize + 4);
  const fields = cursor(block, file);
  fields.signature('FHIB');
  checkSum(block, file.who);
  fields.at = frame;
  let start = 0;
  for (let row = 0; row < rows; row++) {
    const size = rowSize(shape, row);
    const index = Math.floor((offset - start) / size);
    if (index < shape.width) {
      fields.at = frame + (row * shape.width + index) * file.offsetSize;
      return { address: fields.address(), start: start + index * size, size, direct: row < shape.directRows };
    }
    start += size * shape.width;
  }
  throw corrupt(file.who, 'a heap object lies outside its heap');
}
