import { VggError } from '@vgg/errors';
import { concat, viewOf } from '../../bytes.js';
import type { WeightFile } from '../../format.js';
import { parseJson } from '../../json.js';
import { pastLimit, shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { contiguousTensor, type StoredTensor, sequentialTensor, weightFile } from '../tensors.js';
import { readEntry, type Zip, type ZipEntry, zipSource, zipStream } from '../zip/index.js';
import { NPY_START, type NpyHead, npyHeadLength, parseNpyHead } from './npy.js';
import { npyInfo, readNpyHead } from './npy-file.js';

/** Most arrays, each of which is looked at when the file is opened: VGG-19 with batch normalisation has 102. */
const MAX_ARRAYS = 1024;
/** Arrays looked at together, so that over a network it takes fewer turns; browsers send six requests at a time to one host. */
const TOGETHER = 6;
/** Most text taken as metadata, in bytes of all texts together: four for each character. */
const MAX_TEXT = 2 ** 22;
const MAX_DEPTH = 4;

/** The text array in which {@link npzWriter} keeps metadata, as a JSON object. */
export const METADATA = '__metadata__';

interface Member {
  entry: ZipEntry;
  /** Its name without `.npy`. */
  name: string;
  head: NpyHead;
  /** For a stored one: its bytes as a source. */
  source: Source | undefined;
}

/**
 * NumPy's .npz (numpy.savez and savez_compressed): a zip archive of .npy files, of which the numeric ones are tensors. Texts of no axes
 * are metadata; other arrays are passed over.
 *
 * @throws VggError `VGG_FORMAT` if no array has numbers, `VGG_INTEGRITY` if one is corrupt or has not the bytes that its shape says
 */
export async function openNpz(zip: Zip, source: Source, options: ReadOptions = {}): Promise<WeightFile> {
  const { who } = zip;
  const arrays = [...zip.entries.values()].filter(({ name }) => name.endsWith('.npy'));
  if (arrays.length > MAX_ARRAYS) {
    throw pastLimit(who, `at most ${MAX_ARRAYS} arrays`, arrays.length);
  }
  const members: Member[] = [];
  for (let i = 0; i < arrays.length; i += TOGETHER) {
    members.push(...(await Promise.all(arrays.slice(i, i + TOGETHER).map((entry) => openMember(zip, entry, options)))));
  }
  const metadata = new Map<string, string>();
  const tensors: StoredTensor[] = [];
  let left = MAX_TEXT;
  for (const member of members) {
    const { head, entry } = member;
    if (head.content.kind === 'numbers') tensors.push(tensorOf(zip, member));
    if (head.content.kind !== 'text' || head.shape.length > 0) continue;
    for (const [key, text] of await readText(zip, member, left, options)) metadata.set(key, text);
    left -= entry.size;
  }
  if (tensors.length === 0) {
    const found = members[0] ? `${shown(members[0].name)} of ${members[0].head.text.slice(0, 100)}` : 'none';
    throw new VggError('VGG_FORMAT', `${who}: expected arrays of numbers, received ${found}`);
  }
  return weightFile({ format: 'npz', who, tensors, metadata, close: source.close?.bind(source) });
}

async function openMember(zip: Zip, entry: ZipEntry, options: ReadOptions): Promise<Member> {
  const who = `${zip.who}: ${entry.name.slice(0, 80)}`;
  const name = entry.name.slice(0, -'.npy'.length);
  if (!entry.stored) return { entry, name, head: await streamedHead(zip, entry, who, options), source: undefined };
  const source = await zipSource(zip, entry, options);
  return { entry, name, head: await readNpyHead(source, who, options), source };
}

/** The header of a packed array, of which no more is unpacked than the first pieces. */
async function streamedHead(zip: Zip, entry: ZipEntry, who: string, options: ReadOptions): Promise<NpyHead> {
  let bytes = new Uint8Array(0);
  for await (const piece of zipStream(zip, entry, options)) {
    bytes = concat([bytes, piece]);
    if (bytes.length >= NPY_START && bytes.length >= npyHeadLength(bytes, who)) break;
  }
  return parseNpyHead(bytes, who);
}

function tensorOf(zip: Zip, { entry, name, head, source }: Member): StoredTensor {
  const who = `${zip.who}: ${entry.name.slice(0, 80)}`;
  const info = npyInfo(head, name, entry.size, who);
  if (source) return contiguousTensor(info, source, head.start, head.littleEndian);
  return sequentialTensor(info, (options) => without(head.start, zipStream(zip, entry, options)), who, head.littleEndian);
}

/** A stream from its byte `start` on. */
async function* without(start: number, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = start;
  for await (const piece of pieces) {
    if (piece.length > rest) yield piece.subarray(rest);
    rest = Math.max(0, rest - piece.length);
  }
}

async function readText(zip: Zip, { entry, name, head }: Member, maxBytes: number, options: ReadOptions): Promise<[string, string][]> {
  const who = `${zip.who}: ${entry.name.slice(0, 80)}`;
  const bytes = (await readEntry(zip, entry.name, maxBytes, options)).subarray(head.start);
  const length = head.content.kind === 'text' ? head.content.length : 0;
  if (bytes.length !== 4 * length) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected ${4 * length} bytes of text, received ${bytes.length}`);
  }
  const text = fromUtf32(bytes, head.littleEndian, who);
  if (name !== METADATA) return [[name, text]];
  const json = parseJson(new TextEncoder().encode(text), { who, maxBytes: MAX_TEXT, maxDepth: MAX_DEPTH });
  if (typeof json !== 'object' || json === null) return [];
  return Object.entries(json).filter((item): item is [string, string] => typeof item[1] === 'string');
}

/** numpy's text: four bytes a character, filled up with zeros. */
function fromUtf32(bytes: Uint8Array, littleEndian: boolean, who: string): string {
  const view = viewOf(bytes);
  const characters: string[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    const code = view.getUint32(at, littleEndian);
    if (code > 0x10ffff) throw new VggError('VGG_INTEGRITY', `${who}: expected text, received a character of number ${code}`);
    characters.push(String.fromCodePoint(code));
  }
  return characters.join('').replace(/\0+$/, '');
}
