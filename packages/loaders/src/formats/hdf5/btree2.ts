import { pastLimit } from '../../refusals.js';
import { corrupt, cursor } from './cursor.js';
import { checkSum, type Hdf5, readAt } from './file.js';
import { MAX_ENTRIES, MAX_LEVELS } from './limits.js';

/** Signature, version and type at the front, checksum at the end. */
const NODE_FRAME = 10;

interface Tree {
  type: number;
  nodeSize: number;
  recordSize: number;
  /** By level: how many bytes a child pointer's two counts take (leaf level 0 has none). */
  countBytes: number;
  totalBytes: number[];
}

/** Section III.A.2: the records of a version 2 B-tree of a given type, in order. */
export async function readBtree2(file: Hdf5, address: number, expectedType: number): Promise<Uint8Array[]> {
  const headerLength = 16 + file.offsetSize + 2 + file.lengthSize + 4;
  const header = await readAt(file, address, headerLength);
  const fields = cursor(header, file);
  fields.signature('BTHD');
  checkSum(header, file.who);
  const version = fields.u8();
  const type = fields.u8();
  const nodeSize = fields.u32();
  const recordSize = fields.u16();
  const depth = fields.u16();
  fields.skip(2); // percentages of when to split and to merge
  const root = fields.address();
  const inRoot = fields.u16();
  const total = fields.length();
  if (version !== 0 || type !== expectedType) throw corrupt(file.who, `a B-tree has version ${version} and type ${type}`);
  if (total === 0) return [];
  if (depth > MAX_LEVELS || total > MAX_ENTRIES || recordSize === 0 || nodeSize <= NODE_FRAME + recordSize) {
    throw pastLimit(file.who, `HDF5 B-trees of at most ${MAX_ENTRIES} records on ${MAX_LEVELS} levels`, `${total} on ${depth}`);
  }
  const tree = { type, nodeSize, recordSize, ...countSizes(file, nodeSize, recordSize, depth) };
  const records: Uint8Array[] = [];
  await readNode(file, tree, root, inRoot, depth, records, total);
  if (records.length !== total) throw corrupt(file.who, `a B-tree has ${records.length} records and says ${total}`);
  return records;
}

/** How many bytes the counts in child pointers take follows from how many records a node can hold. */
function countSizes(file: Hdf5, nodeSize: number, recordSize: number, depth: number): { countBytes: number; totalBytes: number[] } {
  const leaf = Math.floor((nodeSize - NODE_FRAME) / recordSize);
  const countBytes = bytesFor(leaf);
  const totalBytes = [0];
  let below = leaf;
  for (let level = 1; level <= depth; level++) {
    const pointer = file.offsetSize + countBytes + totalBytes[level - 1]!;
    const most = Math.floor((nodeSize - NODE_FRAME - pointer) / (recordSize + pointer));
    below = (most + 1) * below + most;
    totalBytes.push(Math.min(8, bytesFor(below)));
  }
  return { countBytes, totalBytes };
}

/** Bytes that hold a number up to this one. */
export function bytesFor(limit: number): number {
  let bytes = 1;
  for (let rest = Math.floor(limit / 256); rest > 0; rest = Math.floor(rest / 256)) bytes++;
  return bytes;
}

async function readNode(
  file: Hdf5,
  tree: Tree,
  address: number | undefined,
  count: number,
  level: number,
  records: Uint8Array[],
  total: number,
): Promise<void> {
  const pointer = level === 0 ? 0 : file.offsetSize + tree.countBytes + tree.totalBytes[level - 1]!;
  const length = NODE_FRAME + count * tree.recordSize + (level === 0 ? 0 : (count + 1) * pointer);
  // An empty tree has no nodes; nodes without records could be passed through for ever.
  if (count === 0 || length > tree.nodeSize || records.length + count > total)
    throw corrupt(file.who, `a B-tree has a node of ${count} records`);
  const node = await readAt(file, address, length);
  checkSum(node, file.who);
  const fields = cursor(node, file);
  fields.signature(level === 0 ? 'BTLF' : 'BTIN');
  fields.skip(2);
  const own = Array.from({ length: count }, () => fields.bytes(tree.recordSize));
  if (level === 0) {
    records.push(...own);
    return;
  }
  for (let i = 0; i <= count; i++) {
    const child = fields.address();
    const inChild = fields.uint(tree.countBytes);
    fields.skip(tree.totalBytes[level - 1]!);
    await readNode(file, tree, child, inChild, level - 1, records, total);
    if (own[i]) records.push(own[i]!);
  }
}
