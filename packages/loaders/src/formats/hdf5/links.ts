import { pastLimit, shown, unsupported } from '../../refusals.js';
import { readTreeNode } from './btree1.js';
import { readBtree2 } from './btree2.js';
import { type Cursor, corrupt, cursor, zeroEnded } from './cursor.js';
import { charge, cursorAt, type Hdf5, readAt } from './file.js';
import { MESSAGE, type Message, messageOfType } from './header.js';
import { openHeap } from './heap.js';
import { MAX_ENTRIES, MAX_PATH } from './limits.js';

/** The children of a group: the object header of each name. Links that leave the tree are refused, never followed. */
export async function readLinks(file: Hdf5, messages: readonly Message[]): Promise<Map<string, number>> {
  const links = new Map<string, number>();
  const add = (name: string, address: number | undefined) => {
    if (name === '' || name.includes('/') || address === undefined) throw corrupt(file.who, `a link has the name ${JSON.stringify(name)}`);
    if (name.length > MAX_PATH) throw pastLimit(file.who, `links with names of at most ${MAX_PATH} characters`);
    charge(file, name.length);
    if (links.has(name)) throw corrupt(file.who, `two links have the name ${shown(name)}`);
    if (links.size >= MAX_ENTRIES) throw pastLimit(file.who, `at most ${MAX_ENTRIES} links in one HDF5 group`);
    links.set(name, address);
  };
  const table = messageOfType(file, messages, MESSAGE.symbolTable);
  if (table) await readSymbolTable(file, table, add);
  for (const { type, body } of messages) if (type === MESSAGE.link) readLink(file, cursor(body, file), add);
  const info = messageOfType(file, messages, MESSAGE.linkInfo);
  if (info) await readDenseLinks(file, info, add);
  return links;
}

type Add = (name: string, address: number | undefined) => void;

/** Section IV.A.2.g: one link message. */
function readLink(file: Hdf5, fields: Cursor, add: Add): void {
  const version = fields.u8();
  if (version !== 1) throw corrupt(file.who, `a link has version ${version}`);
  const flags = fields.u8();
  const kind = flags & 0x08 ? fields.u8() : 0;
  if (flags & 0x04) fields.skip(8);
  if (flags & 0x10) fields.skip(1);
  const name = zeroEnded(fields.bytes(fields.uint(1 << (flags & 3))));
  if (kind !== 0)
    throw linkRefused(file, name, kind === 1 ? 'a soft link' : kind === 64 ? 'an external link to another file' : `a link of kind ${kind}`);
  add(name, fields.address());
}

function linkRefused(file: Hdf5, name: string, what: string): Error {
  return unsupported(
    file.who,
    `expected ${shown(name)} to be in the file itself, received ${what}, which is never followed; save the weights with their data`,
  );
}

async function readDenseLinks(file: Hdf5, info: Cursor, add: Add): Promise<void> {
  info.skip(1);
  const flags = info.u8();
  if (flags & 1) info.skip(8);
  const heapAddress = info.address();
  const treeAddress = info.address();
  if (heapAddress === undefined || treeAddress === undefined) return; // the links are in the header
  const heap = await openHeap(file, heapAddress);
  for (const record of await readBtree2(file, treeAddress, 5)) {
    readLink(file, cursor(await heap.get(record.subarray(4, 4 + heap.idLength)), file), add); // behind the hash of the name
  }
}

/** Sections III.A.1, III.B, III.D: a B-tree of symbol table nodes, whose names are in a local heap. */
async function readSymbolTable(file: Hdf5, message: Cursor, add: Add): Promise<void> {
  const tree = message.address();
  const heapAddress = message.address();
  const heap = await cursorAt(file, heapAddress, 8 + 2 * file.lengthSize + file.offsetSize);
  heap.signature('HEAP');
  heap.skip(4);
  const size = heap.length();
  heap.length();
  const names = await readAt(file, heap.address(), size);
  const nodes: number[] = [];
  await collectNodes(file, tree, undefined, nodes, new Set());
  for (const node of nodes) await readNode(file, node, names, add);
}

async function collectNodes(
  file: Hdf5,
  address: number | undefined,
  level: number | undefined,
  into: number[],
  seen: Set<number>,
): Promise<void> {
  const node = await readTreeNode(file, address, { type: 0, level, what: 'a group' }, seen);
  const { level: own, used } = node;
  if (into.length + used > MAX_ENTRIES) throw pastLimit(file.who, `at most ${MAX_ENTRIES} nodes of one HDF5 group`);
  const entries = await cursorAt(file, node.entries, used * (file.lengthSize + file.offsetSize));
  for (let i = 0; i < used; i++) {
    entries.length(); // the least name of the child
    const child = entries.address();
    if (child === undefined) throw corrupt(file.who, 'the tree of a group lacks a node');
    if (own > 0) {
      await collectNodes(file, child, own - 1, into, seen);
    } else {
      if (seen.has(child)) throw corrupt(file.who, 'the tree of a group runs in a circle');
      seen.add(child);
      into.push(child);
    }
  }
}

async function readNode(file: Hdf5, address: number, names: Uint8Array, add: Add): Promise<void> {
  const head = await cursorAt(file, address, 8);
  head.signature('SNOD');
  head.skip(2);
  const count = head.u16();
  const entries = await cursorAt(file, address + 8, count * (2 * file.offsetSize + 24));
  for (let i = 0; i < count; i++) {
    const at = entries.uint(file.offsetSize);
    const target = entries.address();
    const cache = entries.u32();
    entries.skip(20);
    if (at >= names.length) throw corrupt(file.who, 'a name lies outside its heap');
    const name = zeroEnded(names.subarray(at, at + MAX_PATH + 1));
    if (cache === 2) throw linkRefused(file, name, 'a soft link');
    add(name, target);
  }
}
