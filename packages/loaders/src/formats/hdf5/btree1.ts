import { corrupt } from './cursor.js';
import { cursorAt, type Hdf5 } from './file.js';
import { MAX_LEVELS } from './limits.js';

/** What a node of a version 1 B-tree says of itself. */
export interface TreeNode {
  /** 0 for a leaf. */
  readonly level: number;
  /** How many entries it has. */
  readonly used: number;
  /** Where they begin. */
  readonly entries: number;
}

/**
 * Section III.A.1: a node of the tree of `what` (type 0: a group's links, 1: a dataset's chunks), which must be new to `seen` and, below
 * the root, of the level that its parent expects.
 */
export async function readTreeNode(
  file: Hdf5,
  address: number | undefined,
  expected: { readonly type: 0 | 1; readonly level: number | undefined; readonly what: string },
  seen: Set<number>,
): Promise<TreeNode> {
  if (address === undefined) throw corrupt(file.who, `the tree of ${expected.what} was never written`);
  const frame = 8 + 2 * file.offsetSize;
  const head = await cursorAt(file, address, frame);
  head.signature('TREE');
  const type = head.u8();
  const level = head.u8();
  const used = head.u16();
  const isCircle = seen.has(address) || (expected.level !== undefined && level !== expected.level) || level > MAX_LEVELS;
  if (type !== expected.type || isCircle) throw corrupt(file.who, `the tree of ${expected.what} is out of order`);
  seen.add(address);
  return { level, used, entries: address + frame };
}
