import { VggError } from '@vgg/errors';
import { latin1, viewOf } from '../../bytes.js';
import type { Format, WeightFile } from '../../format.js';
import { shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { cachedSource } from '../../sources/cached.js';
import { type Unpickled, type UnpickleOptions, unpickle } from '../pickle/machine.js';
import { corrupt, Dict, describeValue, textOf, type Value } from '../pickle/values.js';
import { isTar } from '../tar.js';
import { storageOf, torchGlobal } from './globals.js';
import { type StoragePlace, torchFile } from './state.js';
import type { Storage } from './tensors.js';

/** The first pickle of a file: torch/serialization.py, MAGIC_NUMBER. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const MAGIC_BYTES = '\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19';
/** The second one. */
const VERSION = 1001;
/** Each storage begins with its number of elements, an int64. */
const COUNT_BYTES = 8;
/** Most storages: a VGG-19 with normalisation has 100 and thrice as many with its optimizer. */
const MAX_STORAGES = 65536;

/**
 * PyTorch's form before 1.6: five pickles (a magic number, a version, the machine, the object, the keys of its storages), and behind them
 * the storages one after another. torchvision's published vgg16-397923af.pth is one. Where a file is cut, the tensors behind its end are
 * named and not present.
 */
export const torchLegacy: Format = {
  id: 'torch-legacy',
  title: 'PyTorch before 1.6',
  match(head) {
    const text = latin1(head.subarray(0, 32));
    return (text[0] === '\x80' && text.includes(MAGIC_BYTES)) || isOldTorch(head);
  },
  open: openLegacy,
};

/** The form of 2016: a tar archive of `sys_info`, `pickle`, `tensors` and `storages`. */
function isOldTorch(head: Uint8Array): boolean {
  const text = latin1(head.subarray(0, 512));
  return isTar(text) && /^(?:\.\/)?(?:sys_info|pickle|tensors|storages)\0/.test(text);
}

async function openLegacy(original: Source, options: ReadOptions = {}): Promise<WeightFile> {
  const who = original.name;
  const source = cachedSource(original);
  if (isOldTorch(await source.read(0, Math.min(512, source.size), options))) {
    throw new VggError(
      'VGG_FORMAT',
      `${who}: expected a PyTorch file of 2017 or later, received the tar form of before; load and save it in PyTorch`,
    );
  }
  let at = 0;
  const next = async (more: UnpickleOptions = {}): Promise<Value> => {
    const { value, end }: Unpickled = await unpickle(source, at, { ...options, ...more });
    at = end;
    return value;
  };
  const magic = await next();
  if (magic !== MAGIC) throw corrupt(who, `its first value is ${describeValue(magic)}`);
  const version = await next();
  if (version !== VERSION)
    throw new VggError('VGG_FORMAT', `${who}: expected version ${VERSION} of PyTorch's form, received ${describeValue(version)}`);
  // It tells of the machine; storages are little-endian whichever it was (torch/csrc/serialization.cpp swaps them).
  const machine = await next();
  if (!(machine instanceof Dict)) throw corrupt(who, `its third value is ${describeValue(machine)}`);
  const storages = new Map<string, Storage>();
  const root = await next({
    globals: torchGlobal,
    persistent(id) {
      const storage = storageOf(id, who);
      const known = storages.get(storage.key);
      if (known && (known.total !== storage.total || known.type !== storage.type)) {
        throw corrupt(who, `storage ${shown(storage.key)} has two sizes or types`);
      }
      storages.set(storage.key, storage);
      return storage;
    },
  });
  const places = await placeStorages(await next(), storages, source, at, options);
  return torchFile({
    who,
    format: 'torch-legacy',
    root,
    littleEndian: true,
    place: ({ key }) => places.get(key)!,
    close: original.close?.bind(original),
  });
}

/** Where each storage's values begin, from the list of their keys, which is in the order of the file. */
async function placeStorages(
  keys: Value,
  storages: ReadonlyMap<string, Storage>,
  source: Source,
  start: number,
  options: ReadOptions,
): Promise<ReadonlyMap<string, StoragePlace>> {
  const who = source.name;
  if (!Array.isArray(keys) || keys.length > MAX_STORAGES || keys.length !== storages.size) {
    throw corrupt(who, `its tensors are in ${storages.size} storages, and its last value is ${describeValue(keys)}`);
  }
  const found: { key: string; at: number; end: number; total: number }[] = [];
  let at = start;
  for (const value of keys) {
    const key = textOf(value);
    const storage = storages.get(key ?? '');
    if (key === undefined || !storage) throw corrupt(who, `it lists storage ${describeValue(value)}, which no tensor is in`);
    const end = at + COUNT_BYTES + storage.bytes;
    found.push({ key, at, end, total: storage.total });
    at = end;
  }
  if (at < source.size) {
    throw new VggError(
      'VGG_INTEGRITY',
      `${who}: expected ${at} bytes, as its storages take, received a file of ${source.size}; fetch it again`,
    );
  }
  const absence = `the file ends before it: it has ${source.size} of ${at} bytes, fetch it again`;
  const places = new Map<string, StoragePlace>();
  for (const { key, at, end, total } of found) {
    if (places.has(key)) throw corrupt(who, `it lists storage ${shown(key)} twice`);
    // Over a network each look at a count is a request; there the length of the whole file says enough.
    if (!source.remote && at + COUNT_BYTES <= source.size) await checkCount(source, at, total, options);
    places.set(key, end <= source.size ? { source, offset: at + COUNT_BYTES } : { absence });
  }
  return places;
}

async function checkCount(source: Source, at: number, expected: number, options: ReadOptions): Promise<void> {
  const bytes = await source.read(at, COUNT_BYTES, options);
  const count = viewOf(bytes).getBigInt64(0, true);
  if (count !== BigInt(expected)) {
    throw new VggError(
      'VGG_INTEGRITY',
      `${source.name}: expected a storage of ${expected} values at byte ${at}, received ${count}; fetch the file again`,
    );
  }
}
