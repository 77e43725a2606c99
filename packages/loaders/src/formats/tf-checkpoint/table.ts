import { VggError } from '@vgg/errors';
import { concat, latin1, viewOf } from '../../bytes.js';
import { pastLimit } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { crc32c } from '../crc.js';
import { corrupt, varintsAt } from '../protobuf/wire.js';

/**
 * The sorted table of LevelDB (its doc/table_format.md), in which TensorFlow keeps checkpoints: blocks of keys and values, an index block
 * that names the blocks, and a footer that names the index.
 */

/** Where a block lies. */
export interface Block {
  readonly start: number;
  /** Of its contents; the trailer follows. */
  readonly end: number;
}

/** A key, where its value lies in the file, and the block of both. */
export interface Entry {
  readonly block: Block;
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

const FOOTER = 48;
/** Of its first 40 bytes two handles of two numbers each, the rest zeros. */
const HANDLES = 40;
const MAGIC = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];
/** A byte that tells how the block is compressed, and its sum. */
const TRAILER = 5;
/** An index block has some 40 bytes a block, a block of a checkpoint's index 4 KB; a VGG has a few of them. */
const MAX_BLOCK = 16 * 2 ** 20;
/** Blocks of one table: a VGG's have one in a checkpoint's index, and some 20 in a file of the first version. */
const MAX_BLOCKS = 65536;
/** Bytes of one key: names of variables are paths of some hundred characters. */
const MAX_KEY = 4096;
/** Bytes of all keys: a few in the file stand for a whole name where it begins as the one before. Ten thousand names have 1 MB. */
const MAX_KEYS = 4 * 2 ** 20;
/** Three numbers of at most five bytes stand before each key. */
const MAX_HEAD = 15;

/** Whether the file ends as such a table does. */
async function isTable(source: Source, options: ReadOptions): Promise<boolean> {
  if (source.size < FOOTER) return false;
  const magic = await source.read(source.size - MAGIC.length, MAGIC.length, options);
  return MAGIC.every((byte, i) => byte === magic[i]);
}

/** The data blocks of a table in their order, each inside the file and none in another. */
export async function readBlocks(source: Source, options: ReadOptions): Promise<Block[]> {
  if (!(await isTable(source, options))) {
    throw new VggError(
      'VGG_INTEGRITY',
      `${source.name}: expected the end of a TensorFlow checkpoint, received other bytes; it is cut, fetch it again`,
    );
  }
  const { values: handles } = numbersAt(await source.read(source.size - FOOTER, HANDLES, options), 4, source.name);
  const index = block(source, handles[2]!, handles[3]!);
  await checkBlock(source, index, options);
  const blocks: Block[] = [];
  for await (const { start, end } of entries(source, [index], options)) {
    const [offset, size] = numbersAt(await source.read(start, end - start, options), 2, source.name).values;
    blocks.push(block(source, offset!, size!));
    if (blocks.length > MAX_BLOCKS) throw pastLimit(source.name, `at most ${MAX_BLOCKS} blocks`);
  }
  let free = 0;
  for (const { start, end } of [...blocks, index].sort((a, b) => a.start - b.start)) {
    if (start < free) throw corrupt(source.name, 'two blocks of its table overlap');
    free = end + TRAILER;
  }
  return blocks;
}

function block(source: Source, offset: number, size: number): Block {
  if (!(offset + size + TRAILER <= source.size - FOOTER)) throw corrupt(source.name, 'a block of its table lies outside of it');
  return { start: offset, end: offset + size };
}

/** The sum of a block's contents and the byte behind them, which must be the one that is stored; reads all of it. */
async function checkBlock(source: Source, { start, end }: Block, options: ReadOptions): Promise<void> {
  if (end - start > MAX_BLOCK) throw pastLimit(source.name, `a block of at most ${MAX_BLOCK} bytes`);
  const bytes = await source.read(start, end - start + TRAILER, options);
  checkTrailer(source, bytes.subarray(-TRAILER), crc32c(bytes.subarray(0, end - start)));
}

/** A sum as it is stored beside what it sums: turned and moved, so that sums of sums do not repeat (LevelDB's `util/crc32c.h`). */
export function masked(sum: number): number {
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
}

/** Checks what follows a block whose contents have this sum. */
export function checkTrailer(source: Source, trailer: Uint8Array, contents: number): void {
  checkPlain(source, trailer[0]!);
  const stored = viewOf(trailer).getUint32(1, true);
  if (stored !== masked(crc32c(trailer.subarray(0, 1), contents))) throw corrupt(source.name, 'the checksum of a block does not agree');
}

/** The bytes behind a block. */
export function readTrailer(source: Source, { end }: Block, options: ReadOptions): Promise<Uint8Array> {
  return source.read(end, TRAILER, options);
}

function checkPlain(source: Source, compression: number): void {
  if (compression === 0) return;
  const what = compression === 1 ? 'Snappy' : `method ${compression}`;
  throw new VggError(
    'VGG_FORMAT',
    `${source.name}: expected a checkpoint as TensorFlow writes them, uncompressed, received one packed by ${what}`,
  );
}

/**
 * The keys of blocks in their order, and where their values are; with `check` each block is checked against its sum first. A key shares its
 * first bytes with the one before, except at the places that are listed behind the last.
 */
export async function* entries(source: Source, blocks: readonly Block[], options: ReadOptions, check = false): AsyncGenerator<Entry> {
  let bytes = 0;
  for (const block of blocks) {
    const { start, end } = block;
    if (check) await checkBlock(source, block, options);
    else checkPlain(source, (await source.read(end, 1, options))[0]!);
    const last = await readRestarts(source, start, end, options);
    let key: Uint8Array = new Uint8Array(0);
    for (let at = start; at < last; ) {
      const head = await source.read(at, Math.min(MAX_HEAD, last - at), options);
      const { values, end: headEnd } = numbersAt(head, 3, source.name);
      const [shared, own, length] = values as [number, number, number];
      const from = at + headEnd;
      if (shared > key.length) throw corrupt(source.name, 'a key shares more with the one before than there is of it');
      if (shared + own > MAX_KEY) throw pastLimit(source.name, `a name of at most ${MAX_KEY} bytes`);
      if (own + length > last - from) throw corrupt(source.name, 'a value passes the end of its block');
      bytes += shared + own;
      if (bytes > MAX_KEYS) throw pastLimit(source.name, `names of at most ${MAX_KEYS} bytes in all`);
      key = concat([key.subarray(0, shared), await source.read(from, own, options)]);
      at = from + own + length;
      yield { key: latin1(key), start: from + own, end: at, block };
    }
  }
}

/** The end of a block's entries. */
async function readRestarts(source: Source, start: number, end: number, options: ReadOptions): Promise<number> {
  const count = end - start < 4 ? 0 : viewOf(await source.read(end - 4, 4, options)).getUint32(0, true);
  const last = end - 4 - count * 4;
  if (count === 0 || last < start || count * 4 > MAX_BLOCK)
    throw corrupt(source.name, 'the places in a block where keys begin anew do not fit it');
  const places = viewOf(await source.read(last, count * 4, options));
  for (let i = 0, before = -1; i < count; i++) {
    const place = places.getUint32(i * 4, true);
    // An empty block still lists one place, its start.
    if (place <= before || (place >= last - start && place !== 0))
      throw corrupt(source.name, 'the places in a block where keys begin anew are out of order');
    before = place;
  }
  return last;
}

/** A key that is text. */
export function utf8Key(key: string): string {
  return new TextDecoder().decode(Uint8Array.from(key, (character) => character.charCodeAt(0)));
}

/** Numbers from 0 up, of seven bits a byte, and where they end. */
export function numbersAt(bytes: Uint8Array, count: number, who: string): { values: number[]; end: number } {
  const found = varintsAt(bytes, 0, count, who);
  if (!found.values.every((value) => Number.isSafeInteger(value) && value >= 0)) throw corrupt(who, 'a number is past any file');
  return found;
}
