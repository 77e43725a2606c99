import { unsupported } from '../../refusals.js';
import { type Cursor, corrupt, cursor } from './cursor.js';
import { checkSum, type Hdf5, readAt } from './file.js';

/** Where a chunk is stored. */
export interface ChunkEntry {
  readonly address: number;
  readonly bytes: number;
  /** Bits of the filters that were left out. */
  readonly mask: number;
}

interface Chunks {
  /** Bytes of an unpacked chunk. */
  readonly bytes: number;
  readonly filtered: boolean;
}

/** An array's entries by number; undefined for chunks that were never written. */
type Entries = (ChunkEntry | undefined)[];

/** Section VII.C: a fixed array of `count` chunks, in pages where it is long. */
export async function readFixedArray(file: Hdf5, address: number, chunks: Chunks, count: number): Promise<Entries> {
  const { offsetSize: O, lengthSize: L, who } = file;
  const header = await readAt(file, address, 8 + L + O + 4);
  const fields = cursor(header, file);
  fields.signature('FAHD');
  checkSum(header, who);
  fields.skip(1);
  const read = entryReader(file, fields, chunks);
  const pageEntries = 2 ** fields.u8();
  const stored = fields.length();
  const block = fields.address();
  if (stored !== count) throw corrupt(who, `an array has ${stored} chunks and its dataset ${count}`);
  if (block === undefined) return [];
  const paged = count > pageEntries;
  const pages = paged ? Math.ceil(count / pageEntries) : 0;
  const frame = 6 + O;
  const first = await readAt(file, block, frame + (paged ? Math.ceil(pages / 8) : count * read.width) + 4);
  cursor(first, file).signature('FADB');
  checkSum(first, who);
  if (!paged) return read(first.subarray(frame, frame + count * read.width));
  const entries: Entries = [];
  for (let page = 0, at = block + first.length; page < pages; page++) {
    const here = Math.min(pageEntries, count - page * pageEntries);
    const length = here * read.width;
    if (first[frame + (page >> 3)]! & (0x80 >> (page & 7))) {
      const bytes = await readAt(file, at, length + 4);
      checkSum(bytes, who);
      entries.push(...read(bytes.subarray(0, length)));
    } else {
      entries.length += here;
    }
    at += length + 4;
  }
  return entries;
}

/**
 * Section VII.D: the first `count` entries of an extensible array. Its index block holds the first few, then the addresses of data blocks,
 * which grow: super block s stands for 2^(s/2) blocks of 2^((s+1)/2) times the least size (rounded down). Those of the first super blocks
 * are named in the index block itself.
 */
export async function readExtensibleArray(file: Hdf5, address: number, chunks: Chunks, count: number): Promise<Entries> {
  const { offsetSize: O, lengthSize: L, who } = file;
  const header = await readAt(file, address, 12 + 6 * L + O + 4);
  const fields = cursor(header, file);
  fields.signature('EAHD');
  checkSum(header, who);
  fields.skip(1);
  const read = entryReader(file, fields, chunks);
  const bits = fields.u8();
  const inIndex = fields.u8();
  const least = fields.u8();
  const minPointers = fields.u8();
  const pageEntries = 2 ** fields.u8();
  fields.skip(6 * L);
  const index = fields.address();
  const leastBits = Math.log2(least);
  const pointerBits = Math.log2(minPointers);
  if (![leastBits, pointerBits].every(Number.isInteger) || bits > 64 || leastBits > bits) {
    throw corrupt(who, 'an array of chunks has impossible sizes');
  }
  if (index === undefined) return [];
  const direct = 2 * pointerBits;
  const supers = Math.max(0, 1 + bits - leastBits - direct);
  const offsetBytes = Math.ceil(bits / 8);
  const indexFrame = 6 + O;
  const root = await readAt(file, index, indexFrame + inIndex * read.width + (2 * (minPointers - 1) + supers) * O + 4);
  const pointers = cursor(root, file);
  pointers.signature('EAIB');
  checkSum(root, who);
  pointers.at = indexFrame;
  const entries: Entries = read(pointers.bytes(inIndex * read.width));
  for (let level = 0; entries.length < count; level++) {
    const blocks = 2 ** (level >> 1);
    const size = least * 2 ** ((level + 1) >> 1);
    if (size > pageEntries) throw unsupported(who, `expected at most ${entries.length} chunks in an array that grows, received more`);
    const named = level < direct ? pointers : await readSuperBlock(file, pointers.address(), blocks, offsetBytes);
    for (let i = 0; i < blocks && entries.length < count; i++) {
      const at = named?.address();
      if (at === undefined) {
        entries.length += Math.min(size, count - entries.length);
        continue;
      }
      const frame = 6 + O + offsetBytes;
      const block = await readAt(file, at, frame + size * read.width + 4);
      cursor(block, file).signature('EADB');
      checkSum(block, who);
      entries.push(...read(block.subarray(frame, frame + size * read.width)));
    }
  }
  return entries;
}

/** The addresses of a super block's data blocks; undefined where it was never written. */
async function readSuperBlock(file: Hdf5, address: number | undefined, blocks: number, offsetBytes: number): Promise<Cursor | undefined> {
  if (address === undefined) return undefined;
  const frame = 6 + file.offsetSize + offsetBytes;
  const bytes = await readAt(file, address, frame + blocks * file.offsetSize + 4);
  const fields = cursor(bytes, file);
  fields.signature('EASB');
  checkSum(bytes, file.who);
  fields.at = frame;
  return fields;
}

/** Takes the client and the size of entries from an array's header; filtered chunks have their size and mask beside the address. */
function entryReader(file: Hdf5, header: Cursor, chunks: Chunks): ((bytes: Uint8Array) => Entries) & { readonly width: number } {
  const filtered = header.u8() === 1;
  const width = header.u8();
  const sizeBytes = width - file.offsetSize - 4;
  if (filtered !== chunks.filtered || (filtered ? sizeBytes < 1 || sizeBytes > 8 : width !== file.offsetSize)) {
    throw corrupt(file.who, 'the array of chunks does not fit its dataset');
  }
  const read = (bytes: Uint8Array): Entries => {
    const fields = cursor(bytes, file);
    return Array.from({ length: bytes.length / width }, () => {
      const address = fields.address();
      const [packed, mask] = filtered ? [fields.uint(sizeBytes), fields.u32()] : [chunks.bytes, 0];
      return address === undefined ? undefined : { address, bytes: packed, mask };
    });
  };
  return Object.assign(read, { width });
}
