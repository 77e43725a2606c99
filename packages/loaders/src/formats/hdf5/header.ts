import { latin1 } from '../../bytes.js';
import { pastLimit, unsupported } from '../../refusals.js';
import { type Cursor, corrupt, cursor } from './cursor.js';
import { checkSum, cursorAt, type Hdf5, readAt } from './file.js';
import { MAX_CONTINUATIONS, MAX_MESSAGES, MAX_STRUCTURE } from './limits.js';

/** One message of an object header. */
export interface Message {
  readonly type: number;
  readonly body: Uint8Array;
}

/** A message as it stands, whose body may be kept elsewhere. */
interface Stored extends Message {
  readonly shared: boolean;
}

export const MESSAGE = {
  dataspace: 0x01,
  linkInfo: 0x02,
  datatype: 0x03,
  oldFill: 0x04,
  fill: 0x05,
  link: 0x06,
  externalFiles: 0x07,
  layout: 0x08,
  filters: 0x0b,
  attribute: 0x0c,
  continuation: 0x10,
  symbolTable: 0x11,
  attributeInfo: 0x15,
} as const;

/** Types whose meaning we need: a shared one of these must not be taken for its own body. */
const NEEDED: ReadonlySet<number> = new Set(Object.values(MESSAGE));

/** Section IV.A: the messages of the object header at an address, version 1 or 2, continuations included. */
export async function readHeader(file: Hdf5, address: number): Promise<Message[]> {
  const messages: Message[] = [];
  for (const { type, body, shared } of await readStored(file, address)) {
    messages.push({ type, body: shared && NEEDED.has(type) ? await readShared(file, body, type) : body });
  }
  return messages;
}

/** Section IV.A.2: the body of a message that is kept in another object's header, as a committed (named) datatype is. */
export async function readShared(file: Hdf5, reference: Uint8Array, type: number): Promise<Uint8Array> {
  const fields = cursor(reference, file);
  const version = fields.u8();
  const kind = fields.u8();
  if (version < 1 || version > 3) throw corrupt(file.who, `a shared message has version ${version}`);
  if (type !== MESSAGE.datatype || (version === 3 && kind !== 2)) {
    throw unsupported(file.who, "expected HDF5 objects with messages of their own, received one that is shared in the file's heap");
  }
  if (version === 1) fields.skip(6);
  const address = fields.address();
  if (address === undefined) throw corrupt(file.who, 'a committed type has no address');
  const found = (await readStored(file, address)).find((message) => message.type === type && !message.shared);
  if (!found) throw corrupt(file.who, 'a committed type is not where it is said to be');
  return found.body;
}

async function readStored(file: Hdf5, address: number): Promise<Stored[]> {
  const start = await readAt(file, address, 4);
  const modern = latin1(start) === 'OHDR';
  const messages: Stored[] = [];
  const blocks = modern ? await firstModern(file, address) : await firstOld(file, address);
  const seen = new Set<number>([address]);
  for (let next = blocks.shift(); next; next = blocks.shift()) {
    for (const { type, body, shared } of parseMessages(file, next, modern, blocks.trackOrder)) {
      if (type !== MESSAGE.continuation) {
        messages.push({ type, body, shared });
        if (messages.length > MAX_MESSAGES) throw pastLimit(file.who, `at most ${MAX_MESSAGES} messages in one HDF5 object`);
        continue;
      }
      const fields = cursor(body, file);
      const at = fields.address();
      const length = fields.length();
      if (at === undefined || seen.has(at) || seen.size > MAX_CONTINUATIONS || length > MAX_STRUCTURE) {
        throw corrupt(file.who, 'an object header runs in a circle');
      }
      seen.add(at);
      blocks.push(await continuation(file, at, length, modern));
    }
  }
  return messages;
}

type Blocks = Uint8Array[] & { trackOrder: boolean };

async function firstOld(file: Hdf5, address: number): Promise<Blocks> {
  const fields = await cursorAt(file, address, 12);
  const version = fields.u8();
  if (version !== 1) throw corrupt(file.who, `an object header has version ${version}`);
  fields.skip(7);
  const length = fields.u32();
  return Object.assign([await readAt(file, address + 16, length)], { trackOrder: false });
}

async function firstModern(file: Hdf5, address: number): Promise<Blocks> {
  const flags = (await readAt(file, address, 6))[5]!;
  const prefix = 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
  const lengthBytes = 1 << (flags & 3);
  const fields = await cursorAt(file, address, prefix + lengthBytes);
  fields.signature('OHDR');
  const version = fields.u8();
  if (version !== 2) throw corrupt(file.who, `an object header has version ${version}`);
  fields.at = prefix;
  const length = fields.uint(lengthBytes);
  const all = await readAt(file, address, fields.at + length + 4);
  checkSum(all, file.who);
  return Object.assign([all.subarray(fields.at, fields.at + length)], { trackOrder: (flags & 0x04) !== 0 });
}

async function continuation(file: Hdf5, address: number, length: number, modern: boolean): Promise<Uint8Array> {
  const block = await readAt(file, address, length);
  if (!modern) return block;
  cursor(block, file).signature('OCHK');
  checkSum(block, file.who);
  return block.subarray(4, length - 4);
}

function* parseMessages(file: Hdf5, block: Uint8Array, modern: boolean, trackOrder: boolean): Generator<Stored> {
  const fields = cursor(block, file);
  const prefix = modern ? (trackOrder ? 6 : 4) : 8;
  while (fields.end - fields.at >= prefix) {
    const type = modern ? fields.u8() : fields.u16();
    const length = fields.u16();
    const flags = fields.u8();
    fields.skip(modern ? (trackOrder ? 2 : 0) : 3);
    const body = fields.bytes(length);
    yield { type, body, shared: (flags & 0x02) !== 0 };
  }
}

/** The first message of a type, as fields to read. */
export function messageOfType(file: Hdf5, messages: readonly Message[], type: number): Cursor | undefined {
  const found = messages.find((message) => message.type === type);
  return found && cursor(found.body, file);
}
