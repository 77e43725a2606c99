import { crc32 } from '../../src/formats/crc.js';

/** The fields of a member's headers. */
interface Fields {
  name: string | Uint8Array;
  flags: number;
  method: number;
  crc: number;
  packed: number;
  size: number;
  extra: Uint8Array;
  disk: number;
  offset: number;
}

export interface Member {
  name: string;
  data?: Uint8Array;
  deflate?: boolean;
  /** Bytes in the archive, where they are not the data or the data deflated. */
  packed?: Uint8Array;
  /** What the local header and the directory say, where that is not the truth. */
  local?: Partial<Fields>;
  central?: Partial<Fields>;
}

export interface Lies {
  before?: Uint8Array;
  behind?: Uint8Array;
  comment?: Uint8Array;
  /** Bytes between the last member and the directory, and behind the directory's last record. */
  gap?: number;
  count?: number;
  size?: number;
  start?: number;
  disk?: number;
  /** A zip64 record and locator, in which these stand instead of the truth. */
  zip64?: { count?: number; size?: number; start?: number; place?: number; length?: number; disks?: number };
}

/** An archive as strangers could write it: true, unless told otherwise. */
export async function buildZip(members: readonly Member[], lies: Lies = {}): Promise<Uint8Array> {
  const parts: Uint8Array[] = [lies.before ?? new Uint8Array(0)];
  const length = () => parts.reduce((sum, part) => sum + part.length, 0);
  const records: Uint8Array[] = [];
  for (const { name, data = new Uint8Array(0), deflate = false, packed, local = {}, central = {} } of members) {
    const bytes = packed ?? (deflate ? await deflateRaw(data) : data);
    const truth: Fields = {
      name,
      flags: 0,
      method: deflate ? 8 : 0,
      crc: crc32(data),
      packed: bytes.length,
      size: data.length,
      extra: new Uint8Array(0),
      disk: 0,
      offset: length(),
    };
    records.push(record(true, { ...truth, ...central }));
    parts.push(record(false, { ...truth, ...local }), bytes);
  }
  parts.push(new Uint8Array(lies.gap ?? 0));
  const start = length();
  parts.push(...records);
  const size = length() - start;
  if (lies.zip64) parts.push(zip64(length(), { count: members.length, size, start, ...lies.zip64 }));
  const end = new Uint8Array(22);
  const view = new DataView(end.buffer);
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(4, lies.disk ?? 0, true);
  view.setUint16(8, lies.count ?? members.length, true);
  view.setUint16(10, lies.count ?? members.length, true);
  view.setUint32(12, lies.size ?? size, true);
  view.setUint32(16, lies.start ?? start, true);
  view.setUint16(20, lies.comment?.length ?? 0, true);
  parts.push(end, lies.comment ?? new Uint8Array(0), lies.behind ?? new Uint8Array(0));
  return concat(parts);
}

function record(central: boolean, fields: Fields): Uint8Array {
  const name = typeof fields.name === 'string' ? new TextEncoder().encode(fields.name) : fields.name;
  const head = new Uint8Array(central ? 46 : 30);
  const view = new DataView(head.buffer);
  view.setUint32(0, central ? 0x02014b50 : 0x04034b50, true);
  const at = central ? 6 : 4;
  view.setUint16(at + 2, fields.flags, true);
  view.setUint16(at + 4, fields.method, true);
  view.setUint32(at + 10, fields.crc, true);
  view.setUint32(at + 14, fields.packed, true);
  view.setUint32(at + 18, fields.size, true);
  view.setUint16(at + 22, name.length, true);
  view.setUint16(at + 24, fields.extra.length, true);
  if (central) {
    view.setUint16(34, fields.disk, true);
    view.setUint32(42, fields.offset, true);
  }
  return concat([head, name, fields.extra]);
}

function zip64(place: number, says: NonNullable<Lies['zip64']> & { count: number; size: number; start: number }): Uint8Array {
  const out = new Uint8Array(56 + 20);
  const view = new DataView(out.buffer);
  const put = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
  view.setUint32(0, 0x06064b50, true);
  put(4, says.length ?? 44);
  put(24, says.count);
  put(32, says.count);
  put(40, says.size);
  put(48, says.start);
  view.setUint32(56, 0x07064b50, true);
  put(64, says.place ?? place);
  view.setUint32(72, says.disks ?? 1, true);
  return out;
}

/** A zip64 extra field with these numbers. */
export function zip64Extra(...numbers: readonly (number | bigint)[]): Uint8Array {
  const out = new Uint8Array(4 + 8 * numbers.length);
  const view = new DataView(out.buffer);
  view.setUint16(0, 1, true);
  view.setUint16(2, 8 * numbers.length, true);
  for (const [i, value] of numbers.entries()) view.setBigUint64(4 + 8 * i, BigInt(value), true);
  return out;
}

export async function deflateRaw(data: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([data as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
