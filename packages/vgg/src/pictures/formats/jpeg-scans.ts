import type { Reader } from '../bytes.js';
import { Bits, CorruptScan, type Huffman, huffman, lookUp, MARGIN } from './jpeg-bits.js';

/** One colour component of a frame, in blocks of 8 x 8 coefficients. */
interface Component {
  readonly id: number;
  readonly h: number;
  readonly v: number;
  /** Blocks that hold pixels: a scan of this component alone codes exactly these. */
  readonly across: number;
  readonly down: number;
  /** Blocks in a row, with those that fill up the last unit of an interleaved scan. */
  readonly stride: number;
  /** Of a progressive frame: for each coefficient, 1 once it is known to be other than zero. */
  readonly nonzero: Uint8Array | undefined;
  scanned: boolean;
}

interface Frame {
  readonly components: readonly Component[];
  readonly progressive: boolean;
  /** Units (MCUs) of an interleaved scan. */
  readonly unitsAcross: number;
  readonly unitsDown: number;
}

/** Codes one block; returns nothing, for only whether it fits is of interest. */
type BlockReader = (component: Component, block: number) => void;

/** Encoders write about ten; thousands of empty ones over a large picture would keep any decoder busy for minutes. */
const MAX_SCANS = 100;

const DHT = 0xc4;
const SOS = 0xda;
const DRI = 0xdd;

/**
 * Whether the entropy-coded data of a JPEG fits its frame: every code is in its table, no block is missing, nothing is left over.
 *
 * Decoders fill what is missing with grey and go on, most of them without a word; this counts the codes without computing a pixel, and so
 * finds what truncation and changed bytes do to the picture (a change that happens to keep all lengths is beyond it).
 * Huffman-coded sequential and progressive frames, after ITU T.81, annexes F and G; true for the rare other ones.
 */
export function scansFit(reader: Reader, segments: Iterable<{ marker: number; at: number }>): boolean {
  const tables = new Map<number, Huffman>();
  let frame: Frame | undefined;
  let restartInterval = 0;
  let scans = 0;
  const room = new Uint8Array(reader.length + MARGIN);
  try {
    for (const { marker, at } of segments) {
      if (marker === 0xc0 || marker === 0xc1 || marker === 0xc2) {
        // A second frame could be of any size; the first was held against the cap.
        if (frame !== undefined) return false;
        frame = readFrame(reader, at, marker === 0xc2);
      } else if (marker > 0xc2 && marker <= 0xcf && marker !== DHT && marker !== 0xc8 && marker !== 0xcc) return true;
      else if (marker === DHT) readTables(reader, at, tables);
      else if (marker === DRI) restartInterval = reader.u16(at + 2) ?? 0;
      else if (marker === SOS) {
        if (++scans > MAX_SCANS) return false;
        readScan(reader, room, at, frame, tables, restartInterval);
      }
    }
  } catch (error) {
    if (error instanceof CorruptScan) return false;
    throw error;
  }
  return frame?.components.every(({ scanned }) => scanned) ?? false;
}

function readFrame(reader: Reader, at: number, progressive: boolean): Frame {
  const height = reader.u16(at + 3) ?? 0;
  const width = reader.u16(at + 5) ?? 0;
  const parts = Array.from({ length: reader.u8(at + 7) ?? 0 }, (_, i) => {
    const sampling = reader.u8(at + 9 + i * 3) ?? 0;
    return { id: reader.u8(at + 8 + i * 3) ?? 0, h: sampling >> 4, v: sampling & 15 };
  });
  if (parts.length === 0 || parts.some(({ h, v }) => h < 1 || h > 4 || v < 1 || v > 4)) throw new CorruptScan();
  const hMax = Math.max(...parts.map(({ h }) => h));
  const vMax = Math.max(...parts.map(({ v }) => v));
  const unitsAcross = Math.ceil(width / (8 * hMax));
  const unitsDown = Math.ceil(height / (8 * vMax));
  const components = parts.map(({ id, h, v }) => ({
    id,
    h,
    v,
    across: Math.ceil(Math.ceil((width * h) / hMax) / 8),
    down: Math.ceil(Math.ceil((height * v) / vMax) / 8),
    stride: unitsAcross * h,
    nonzero: progressive ? new Uint8Array(unitsAcross * h * unitsDown * v * 64) : undefined,
    scanned: false,
  }));
  return { components, progressive, unitsAcross, unitsDown };
}

function readTables(reader: Reader, at: number, tables: Map<number, Huffman>): void {
  const end = at + (reader.u16(at) ?? 0);
  for (let from = at + 2; from < end; ) {
    const counts = reader.bytes.subarray(from + 1, from + 17);
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (counts.length < 16 || total > 256) throw new CorruptScan();
    tables.set(reader.u8(from)!, huffman(counts, reader.bytes.slice(from + 17, from + 17 + total)));
    from += 17 + total;
  }
}

function readScan(
  reader: Reader,
  room: Uint8Array,
  at: number,
  frame: Frame | undefined,
  tables: Map<number, Huffman>,
  restartInterval: number,
): void {
  if (frame === undefined) throw new CorruptScan();
  const count = reader.u8(at + 2) ?? 0;
  const parts = Array.from({ length: count }, (_, i) => {
    const component = frame.components.find(({ id }) => id === reader.u8(at + 3 + i * 2));
    if (component === undefined) throw new CorruptScan();
    const choice = reader.u8(at + 4 + i * 2) ?? 0;
    return { component, dc: tables.get(choice >> 4), ac: tables.get(16 | (choice & 15)) };
  });
  const [first, last, bits] = [reader.u8(at + 3 + count * 2), reader.u8(at + 4 + count * 2), reader.u8(at + 5 + count * 2)];
  if (parts.length === 0 || first === undefined || last === undefined || bits === undefined || first > last || last > 63)
    throw new CorruptScan();

  const input = new Bits(reader.bytes, room, at + 6 + count * 2);
  const run = { left: 0 };
  const coded = parts.map(({ component, dc, ac }) => {
    if (first === 0) component.scanned = true;
    return { component, read: blockReader(input, frame.progressive, { first, last, refine: bits >> 4 !== 0 }, dc, ac, run) };
  });
  const alone = coded.length === 1 ? coded[0]! : undefined;
  const across = alone?.component.across ?? frame.unitsAcross;
  const units = across * (alone?.component.down ?? frame.unitsDown);
  for (let unit = 0; unit < units; unit++) {
    if (restartInterval !== 0 && unit !== 0 && unit % restartInterval === 0) restart(reader, input, run);
    const x = unit % across;
    const y = (unit - x) / across;
    if (alone !== undefined) alone.read(alone.component, y * alone.component.stride + x);
    else
      for (const { component, read } of coded) {
        const { h, v, stride } = component;
        for (let j = 0; j < v; j++) for (let i = 0; i < h; i++) read(component, (y * v + j) * stride + x * h + i);
      }
    input.check();
  }
  input.finish();
}

function restart(reader: Reader, input: Bits, run: { left: number }): void {
  input.finish();
  const marker = reader.u8(input.at + 1) ?? 0;
  if (marker < 0xd0 || marker > 0xd7) throw new CorruptScan();
  input.at += 2;
  input.next();
  run.left = 0;
}

/** The coefficients of a scan, in zigzag order, and whether it adds a bit to what earlier scans gave. */
interface Band {
  readonly first: number;
  readonly last: number;
  readonly refine: boolean;
}

function blockReader(
  input: Bits,
  progressive: boolean,
  { first, last, refine }: Band,
  dc: Huffman | undefined,
  ac: Huffman | undefined,
  run: { left: number },
): BlockReader {
  if (!progressive) return sequential(input, needed(dc), needed(ac));
  if (first === 0) {
    if (refine) return () => void input.position++;
    const table = needed(dc);
    return () => difference(input, table);
  }
  return refine ? refinement(input, needed(ac), first, last, run) : band(input, needed(ac), first, last, run);
}

function needed(table: Huffman | undefined): Huffman {
  if (table === undefined) throw new CorruptScan();
  return table;
}

function difference(input: Bits, table: Huffman): void {
  const size = input.decode(table);
  if (size > 15) throw new CorruptScan();
  input.position += size;
}

/** The one that matters for speed: most files are of this kind, and nearly all their bits are read here. */
function sequential(input: Bits, dc: Huffman, ac: Huffman): BlockReader {
  const { bytes } = input;
  return () => {
    difference(input, dc);
    let position = input.position;
    for (let k = 1; k < 64; k++) {
      const entry = lookUp(bytes, position, ac);
      const size = entry & 15;
      position += (entry >> 8) + size;
      if ((entry & 255) === 0) break;
      k += (entry >> 4) & 15;
      if (k > 63 && size !== 0) throw new CorruptScan();
    }
    input.position = position;
  };
}

function band(input: Bits, ac: Huffman, first: number, last: number, run: { left: number }): BlockReader {
  return ({ nonzero }, block) => {
    if (run.left > 0) {
      run.left--;
      return;
    }
    for (let k = first; k <= last; k++) {
      const symbol = input.decode(ac);
      const size = symbol & 15;
      const zeros = symbol >> 4;
      if (size === 0 && zeros < 15) {
        run.left = (1 << zeros) - 1 + input.read(zeros);
        return;
      }
      k += zeros;
      if (size === 0) continue;
      if (k > last) throw new CorruptScan();
      input.position += size;
      nonzero![block * 64 + k] = 1;
    }
  };
}

function refinement(input: Bits, ac: Huffman, first: number, last: number, run: { left: number }): BlockReader {
  return ({ nonzero }, block) => {
    const known = nonzero!;
    const base = block * 64;
    let k = first;
    while (run.left === 0 && k <= last) {
      const symbol = input.decode(ac);
      const size = symbol & 15;
      let zeros = symbol >> 4;
      if (size > 1) throw new CorruptScan();
      if (size === 0 && zeros < 15) {
        run.left = (1 << zeros) + input.read(zeros);
        break;
      }
      input.position += size;
      // A bit for each known coefficient that is passed; `zeros` others are passed, and the next one is the new one.
      for (; k <= last; k++) {
        if (known[base + k] === 1) input.position++;
        else if (zeros-- === 0) break;
      }
      if (size === 1) {
        if (k > last) throw new CorruptScan();
        known[base + k] = 1;
      }
      k++;
    }
    if (run.left === 0) return;
    for (; k <= last; k++) if (known[base + k] === 1) input.position++;
    run.left--;
  };
}
