import { countOf, DTYPE_BYTES } from '../../../dtype.js';
import { MESSAGE } from '../header.js';
import { aligned, pack, padded, signature } from './fields.js';
import {
  type AttributeToWrite,
  attributeMessage,
  datasetMessages,
  type FloatType,
  type HeapPlace,
  type MessageToWrite,
  objectHeader,
} from './messages.js';

export interface GroupToWrite {
  readonly attributes: ReadonlyMap<string, AttributeToWrite>;
  readonly children: ReadonlyMap<string, GroupToWrite | DatasetToWrite>;
}

export interface DatasetToWrite {
  readonly shape: readonly number[];
  readonly dtype: FloatType;
}

/** A file whose values are still to come. */
export interface Hdf5Layout {
  /** Everything before the values. */
  readonly head: Uint8Array;
  /** The datasets in the order of their values, and where these begin; between them are zeros, up to a multiple of eight. */
  readonly datasets: readonly { readonly dataset: DatasetToWrite; readonly address: number; readonly bytes: number }[];
  readonly size: number;
}

/** Children of a B-tree's node: the format's default of 2 x 16. */
const TREE_CHILDREN = 32;
const TREE_BYTES = 24 + (2 * TREE_CHILDREN + 1) * 8;
/** The default for a symbol table node is 2 x 4 entries; it is raised until one B-tree node is enough for the largest group. */
const LEAF_K = 4;
const ENTRY_BYTES = 40;
const SUPERBLOCK_BYTES = 96;
/** The library makes no smaller heap for texts. */
const MIN_TEXT_HEAP = 4096;

/**
 * Lays out an HDF5 file that every version of the library reads: superblock 0, groups as B-trees of symbol tables, object headers of
 * version 1, values end to end (HDF5 File Format Specification, version 3.0). All sizes are known ahead, so the file is written front to back.
 */
export function layOutHdf5(root: GroupToWrite): Hdf5Layout {
  const datasets: { dataset: DatasetToWrite; address: number; bytes: number }[] = [];
  let size = aligned(headOf(root, () => 0).length); // structures are of the same length whatever the addresses in them
  const addresses = new Map<DatasetToWrite, number>();
  for (const dataset of datasetsOf(root)) {
    const bytes = countOf(dataset.shape, 'hdf5') * DTYPE_BYTES[dataset.dtype];
    addresses.set(dataset, size);
    datasets.push({ dataset, address: size, bytes });
    size += aligned(bytes);
  }
  return { head: headOf(root, (dataset) => addresses.get(dataset)!, size), datasets, size };
}

function* datasetsOf(group: GroupToWrite): Generator<DatasetToWrite> {
  for (const child of group.children.values()) {
    if ('children' in child) yield* datasetsOf(child);
    else yield child;
  }
}

/** Pieces at their places; each begins at a multiple of eight. */
class Memory {
  readonly #pieces: { at: number; bytes: Uint8Array }[] = [];
  #size = 0;

  reserve(length: number): number {
    const at = this.#size;
    this.#size += aligned(length);
    return at;
  }

  set(at: number, bytes: Uint8Array): void {
    this.#pieces.push({ at, bytes });
  }

  put(bytes: Uint8Array): number {
    const at = this.reserve(bytes.length);
    this.set(at, bytes);
    return at;
  }

  bytes(): Uint8Array {
    const out = new Uint8Array(this.#size);
    for (const { at, bytes } of this.#pieces) out.set(bytes, at);
    return out;
  }
}

function headOf(root: GroupToWrite, addressOf: (dataset: DatasetToWrite) => number, end = 0): Uint8Array {
  const memory = new Memory();
  const leafK = Math.max(LEAF_K, Math.ceil(largest(root) / (2 * TREE_CHILDREN)));
  memory.reserve(SUPERBLOCK_BYTES);
  const texts = new TextHeap(memory, textsOf(root));
  const { header, tree, heap } = putGroup(memory, root, { leafK, texts, addressOf });
  const versions = pack([0, 5], [8, 1], [8, 1], [0, 1]); // of everything: 0; offsets and lengths of eight bytes
  memory.set(
    0,
    pack(
      pack([0x89, 1], signature('HDF\r\n\x1a\n'), versions, [leafK, 2], [TREE_CHILDREN / 2, 2], [0, 4]),
      pack([0, 8], [-1, 8], [end, 8], [-1, 8]), // base, free space, end of file, driver
      pack([0, 8], [header, 8], [1, 4], [0, 4], [tree, 8], [heap, 8]), // the root's symbol table entry
    ),
  );
  return memory.bytes();
}

function largest(group: GroupToWrite): number {
  const below = [...group.children.values()].map((child) => ('children' in child ? largest(child) : 0));
  return Math.max(group.children.size, ...below);
}

interface Context {
  readonly leafK: number;
  readonly texts: TextHeap;
  readonly addressOf: (dataset: DatasetToWrite) => number;
}

/** Sections III.A.1, III.B, III.D: a group is a header, a B-tree of symbol table nodes, and a heap of names. */
function putGroup(memory: Memory, group: GroupToWrite, context: Context): { header: number; tree: number; heap: number } {
  const entries = [...group.children].map(([name, child]) => {
    const own = 'children' in child ? putGroup(memory, child, context).header : putDataset(memory, child, context);
    return { name: new TextEncoder().encode(name), header: own };
  });
  entries.sort((a, b) => compareBytes(a.name, b.name));
  const names: Uint8Array[] = [new Uint8Array(8)]; // the empty name, which is less than all others
  let nameAt = 8;
  const places = entries.map(({ name }) => {
    const bytes = padded(pack(name, [0, 1]));
    const at = nameAt;
    names.push(bytes);
    nameAt += bytes.length;
    return at;
  });
  const data = memory.put(pack(...names));
  const heap = memory.put(pack(signature('HEAP'), [0, 4], [nameAt, 8], [1, 8], [data, 8])); // 1: no free space
  const perNode = 2 * context.leafK;
  const children: (readonly [number, number])[] = [[0, 8]];
  let used = 0;
  for (let first = 0; first < entries.length; first += perNode, used++) {
    const symbols = entries.slice(first, first + perNode).map(({ header }, i) => pack([places[first + i]!, 8], [header, 8], [0, 24]));
    const node = memory.reserve(8 + perNode * ENTRY_BYTES); // read whole by the library
    memory.set(node, pack(signature('SNOD'), [1, 2], [symbols.length, 2], ...symbols));
    children.push([node, 8], [places[first + symbols.length - 1]!, 8]); // a node, and the greatest name in it
  }
  const tree = memory.reserve(TREE_BYTES);
  memory.set(tree, pack(signature('TREE'), [0, 1], [0, 1], [used, 2], [-1, 8], [-1, 8], ...children));
  const messages: MessageToWrite[] = [
    { type: MESSAGE.symbolTable, body: pack([tree, 8], [heap, 8]) },
    ...[...group.attributes].map(([name, value]) => attributeMessage(name, value, () => context.texts.next())),
  ];
  return { header: memory.put(objectHeader(messages)), tree, heap };
}

function putDataset(memory: Memory, dataset: DatasetToWrite, { addressOf }: Context): number {
  const bytes = countOf(dataset.shape, 'hdf5') * DTYPE_BYTES[dataset.dtype];
  return memory.put(objectHeader(datasetMessages(dataset.shape, dataset.dtype, addressOf(dataset), bytes)));
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const different = a.findIndex((byte, i) => byte !== b[i]);
  return different < 0 ? a.length - b.length : a[different]! - (b[different] ?? -1);
}

function textsOf(group: GroupToWrite): Uint8Array[] {
  const below = [...group.children.values()].flatMap((child) => ('children' in child ? textsOf(child) : []));
  const own = [...group.attributes.values()].flatMap((value) => (typeof value === 'string' ? [new TextEncoder().encode(value)] : []));
  return [...below, ...own];
}

/** Section III.E: one global heap collection of all texts of variable length, taken from it in the order in which groups are written. */
class TextHeap {
  readonly #address: number;
  #index = 1;

  constructor(memory: Memory, texts: readonly Uint8Array[]) {
    const objects = texts.map((text, i) => pack([i + 1, 2], [1, 2], [0, 4], [text.length, 8], padded(text)));
    const used = 16 + objects.reduce((sum, object) => sum + object.length, 0);
    const size = Math.max(MIN_TEXT_HEAP, used + 16);
    const rest = pack([0, 8], [size - used, 8]); // object 0 is the free space
    this.#address = texts.length === 0 ? -1 : memory.reserve(size);
    if (texts.length > 0) memory.set(this.#address, pack(signature('GCOL'), [1, 4], [size, 8], ...objects, rest));
  }

  next(): HeapPlace {
    return { heap: this.#address, index: this.#index++ };
  }
}
