import { VggError } from '@vgg/errors';
import type { WeightFile } from '../../format.js';
import { shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { bytesSource } from '../../sources/bytes.js';
import { readInto } from '../../sources/read-into.js';
import { unpickle } from '../pickle/machine.js';
import { readEntry, type Zip, type ZipEntry, zipSource } from '../zip/index.js';
import { scriptGlobal, storageOf, torchGlobal } from './globals.js';
import { torchFile } from './state.js';
import type { Storage } from './tensors.js';

/** Bytes of a pickle that was deflated, which is taken into memory: a state dict's is some 20 KB. */
const MAX_PICKLE = 64 * 2 ** 20;
/** The pickle, in the archive's one folder. */
const PICKLE = /^([^/]*\/)?data\.pkl$/;

/** Whether an archive is one of PyTorch's. */
export function isTorchZip(zip: Zip): boolean {
  return pickleEntry(zip) !== undefined;
}

/**
 * The zip form of a PyTorch file (torch.save since 1.6, and TorchScript): `NAME/data.pkl` tells of the tensors, and each `NAME/data/KEY` is a
 * storage. The source is closed with the file.
 *
 * @throws VggError `VGG_FORMAT` if it holds a whole model or no tensors; `VGG_INTEGRITY` if it is corrupt, past a limit or asks to run something
 */
export async function openTorchZip(zip: Zip, source: Source, options: ReadOptions = {}): Promise<WeightFile> {
  const { who } = zip;
  const entry = pickleEntry(zip);
  if (!entry) throw new VggError('VGG_FORMAT', `${who}: expected a PyTorch file, received a zip archive without data.pkl`);
  const folder = entry.name.slice(0, -'data.pkl'.length);
  const isScript = [...zip.entries.keys()].some((name) => name.startsWith(`${folder}code/`));
  const storages = new Map<string, Source>();
  const { value } = await unpickle(await pickleSource(zip, entry, options), 0, {
    ...options,
    globals: isScript ? scriptGlobal : torchGlobal,
    persistent(id) {
      const storage = storageOf(id, who);
      if (!storages.has(storage.key)) storages.set(storage.key, storageSource(zip, folder, storage));
      checkSize(storage, storages.get(storage.key)!.size, who);
      return storage;
    },
  });
  return torchFile({
    who,
    format: 'torch-zip',
    root: value,
    littleEndian: await isLittleEndian(zip, folder, options),
    place: ({ key }) => ({ source: storages.get(key)!, offset: 0 }),
    ...(isScript && { metadata: new Map([['torchscript', 'true']]) }),
    close: source.close?.bind(source),
  });
}

function pickleEntry(zip: Zip): ZipEntry | undefined {
  for (const entry of zip.entries.values()) if (PICKLE.test(entry.name)) return entry;
  return undefined;
}

async function pickleSource(zip: Zip, entry: ZipEntry, options: ReadOptions): Promise<Source> {
  const name = zip.who;
  if (!entry.stored) return bytesSource(await readEntry(zip, entry.name, MAX_PICKLE, options), name);
  return { ...(await zipSource(zip, entry, options)), name };
}

async function isLittleEndian(zip: Zip, folder: string, options: ReadOptions): Promise<boolean> {
  const name = `${folder}byteorder`;
  if (!zip.entries.has(name)) return true; // before 2.1
  const order = new TextDecoder().decode(await readEntry(zip, name, 16, options));
  if (order !== 'little' && order !== 'big') {
    throw new VggError('VGG_INTEGRITY', `${zip.who}: expected "little" or "big" as its byteorder, received ${JSON.stringify(order)}`);
  }
  return order === 'little';
}

/** A storage's bytes. Its header in the archive is looked at when they are first asked for: an index is then a few reads. */
function storageSource(zip: Zip, folder: string, { key }: Storage): Source {
  const entry = zip.entries.get(`${folder}data/${key}`);
  if (!entry) {
    const shown = JSON.stringify(key.slice(0, 80));
    throw new VggError(
      'VGG_INTEGRITY',
      `${zip.who}: expected storage ${shown} in the archive, and there is none such; fetch the file again`,
    );
  }
  if (!entry.stored) {
    throw new VggError(
      'VGG_FORMAT',
      `${zip.who}: expected storages as torch.save writes them, received a deflated one; unpack it and pack it again without compression`,
    );
  }
  let opened: Source | undefined;
  return {
    name: zip.who,
    size: entry.size,
    async read(offset, length, options) {
      opened ??= await zipSource(zip, entry, options);
      return opened.read(offset, length, options);
    },
    async readInto(target, offset, options) {
      opened ??= await zipSource(zip, entry, options);
      await readInto(opened, target, offset, options);
    },
  };
}

function checkSize({ key, bytes }: Storage, size: number, who: string): void {
  if (bytes <= size) return;
  throw new VggError('VGG_INTEGRITY', `${who}: expected ${bytes} bytes in storage ${shown(key)}, received ${size}; fetch the file again`);
}
