import { DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import { product } from '../../numbers.js';
import { pastLimit, shown, unsupported } from '../../refusals.js';
import { readBtree2 } from './btree2.js';
import { corrupt, cursor, zeroEnded } from './cursor.js';
import { charge, type Hdf5, readAt } from './file.js';
import { MESSAGE, type Message, messageOfType, readShared } from './header.js';
import { openHeap } from './heap.js';
import { MAX_ATTRIBUTE, MAX_STRINGS, VALUE_COST } from './limits.js';
import { type Hdf5Type, readSpace, typeIn } from './types.js';

/** Text, numbers, or lists of them; attributes of other types are left out. */
export type Attribute = string | number | string[] | number[];

/** The attributes of an object, those in its header and those in a heap. */
export async function readAttributes(file: Hdf5, messages: readonly Message[]): Promise<Map<string, Attribute>> {
  const attributes = new Map<string, Attribute>();
  const collections: Collections = new Map();
  const take = async (body: Uint8Array) => {
    const [name, value] = await readAttribute(file, body, collections);
    if (value !== undefined) attributes.set(name, value);
  };
  for (const { type, body } of messages) if (type === MESSAGE.attribute) await take(body);
  const info = messageOfType(file, messages, MESSAGE.attributeInfo);
  if (!info) return attributes;
  info.skip(1);
  if (info.u8() & 1) info.skip(2);
  const heapAddress = info.address();
  const tree = info.address();
  if (heapAddress === undefined || tree === undefined) return attributes;
  const heap = await openHeap(file, heapAddress);
  for (const record of await readBtree2(file, tree, 8)) await take(await heap.get(record.subarray(0, heap.idLength)));
  return attributes;
}

/** Section IV.A.2.m: the attribute message; in version 1 each part is padded to 8 bytes. */
async function readAttribute(file: Hdf5, body: Uint8Array, collections: Collections): Promise<[string, Attribute | undefined]> {
  const fields = cursor(body, file);
  const version = fields.u8();
  if (version < 1 || version > 3) throw corrupt(file.who, `an attribute has version ${version}`);
  const flags = version === 1 ? 0 : fields.u8();
  if (version === 1) fields.skip(1);
  if (flags & 2) throw unsupported(file.who, 'expected HDF5 attributes with shapes of their own, received a shared one');
  const sizes = [fields.u16(), fields.u16(), fields.u16()] as const;
  if (version === 3) fields.skip(1);
  const part = (size: number): Uint8Array => {
    const bytes = fields.bytes(size);
    if (version === 1) fields.skip((8 - (size % 8)) % 8);
    return bytes;
  };
  const name = zeroEnded(part(sizes[0]));
  const typeBytes = part(sizes[1]);
  const type = typeIn(flags & 1 ? await readShared(file, typeBytes, MESSAGE.datatype) : typeBytes, file);
  const space = readSpace(cursor(part(sizes[2]), file), file);
  if (!space || type.kind === 'other') return [name, undefined];
  const { shape } = space;
  const count = product(shape);
  if (count * type.bytes > MAX_ATTRIBUTE)
    throw pastLimit(file.who, `at most ${MAX_ATTRIBUTE} bytes of attribute ${shown(name)}`, count * type.bytes);
  charge(file, count * VALUE_COST);
  const values = await readValues(file, type, count, fields.bytes(count * type.bytes), collections);
  return [name, shape.length === 0 ? values[0] : (values as Attribute)];
}

async function readValues(
  file: Hdf5,
  type: Hdf5Type,
  count: number,
  data: Uint8Array,
  collections: Collections,
): Promise<string[] | number[]> {
  if (type.kind === 'number') {
    if (DTYPE_BYTES[type.dtype] !== type.bytes) throw corrupt(file.who, 'a number has an impossible size');
    return [...toFloat32(data, type.dtype, type.littleEndian)];
  }
  if (count > MAX_STRINGS) throw pastLimit(file.who, `at most ${MAX_STRINGS} strings in one attribute`, count);
  if (type.kind === 'string')
    return Array.from({ length: count }, (_, i) => zeroEnded(data.subarray(i * type.bytes, (i + 1) * type.bytes)).trimEnd());
  const references = cursor(data, file);
  const strings: string[] = [];
  for (let i = 0; i < count; i++) {
    const length = references.u32();
    const collection = references.address();
    const index = references.u32();
    if (length === 0 || collection === undefined || collection === 0) strings.push('');
    else {
      const text = (await globalObject(file, collection, index, collections)).subarray(0, length);
      charge(file, text.length);
      strings.push(zeroEnded(text));
    }
  }
  return strings;
}

type Collections = Map<number, Map<number, Uint8Array>>;

/** Section III.E: an object of a global heap collection, where strings of variable length are kept. */
async function globalObject(file: Hdf5, address: number, index: number, collections: Collections): Promise<Uint8Array> {
  let objects = collections.get(address);
  if (!objects) {
    objects = await readCollection(file, address);
    collections.set(address, objects);
  }
  const found = objects.get(index);
  if (!found) throw corrupt(file.who, `a string is not in its heap`);
  return found;
}

async function readCollection(file: Hdf5, address: number): Promise<Map<number, Uint8Array>> {
  const head = cursor(await readAt(file, address, 8 + file.lengthSize), file);
  head.signature('GCOL');
  head.skip(4);
  const size = head.length();
  const fields = cursor(await readAt(file, address, size), file);
  // The library pads every header and every object to 8 bytes; with lengths of 8 the headers are whole as they are.
  const padding = (8 - (file.lengthSize % 8)) % 8;
  fields.at = head.at + padding;
  const objects = new Map<number, Uint8Array>();
  while (fields.end - fields.at >= 8 + file.lengthSize + padding) {
    const index = fields.u16();
    if (index === 0) break; // the free rest
    fields.skip(6);
    const length = fields.length();
    fields.skip(padding);
    objects.set(index, fields.bytes(length));
    fields.skip(Math.min(fields.end - fields.at, (8 - (length % 8)) % 8));
  }
  return objects;
}
