import { throwIfAborted } from '@vgg/errors';
import { DTYPE_BYTES } from '../../dtype.js';
import { pastLimit, shown } from '../../refusals.js';
import { type Attribute, readAttributes } from './attributes.js';
import { checkOverlap } from './chunks.js';
import { corrupt } from './cursor.js';
import { type Dataset, readDataset } from './dataset.js';
import { charge, type Hdf5 } from './file.js';
import { MESSAGE, type Message, readHeader } from './header.js';
import { MAX_DEPTH, MAX_OBJECTS, MAX_PATH } from './limits.js';
import { readLinks } from './links.js';

/** Everything in a file by its path: `''` is the root, `a/b` what is called `b` in `a`. */
export interface Tree {
  /** The attributes of each group. */
  readonly groups: ReadonlyMap<string, ReadonlyMap<string, Attribute>>;
  readonly datasets: ReadonlyMap<string, Dataset>;
  /** Datasets that hold no numbers, and what they hold. */
  readonly unreadable: ReadonlyMap<string, string>;
}

/** Walks the whole file; `skip` leaves out what is not wanted, such as an optimizer's state. */
export async function readTree(file: Hdf5, skip: (path: string) => boolean = () => false): Promise<Tree> {
  const groups = new Map<string, ReadonlyMap<string, Attribute>>();
  const datasets = new Map<string, Dataset>();
  const unreadable = new Map<string, string>();
  const extents = new Map<number, { address: number; bytes: number }>(); // by object: two names of one dataset are no overlap
  let objects = 0;

  async function visit(address: number, path: string, above: readonly number[]): Promise<void> {
    throwIfAborted(file.signal, file.who);
    if (above.includes(address)) throw corrupt(file.who, `group ${shown(path)} contains itself`);
    if (above.length > MAX_DEPTH) throw pastLimit(file.who, `groups at most ${MAX_DEPTH} deep`, 'deeper');
    if (++objects > MAX_OBJECTS) throw pastLimit(file.who, `at most ${MAX_OBJECTS} objects`);
    if (path.length > MAX_PATH) throw pastLimit(file.who, `paths of at most ${MAX_PATH} characters`, path.length);
    charge(file, path.length);
    const messages = await readHeader(file, address);
    if (isGroup(messages)) {
      groups.set(path, await readAttributes(file, messages));
      for (const [name, child] of await readLinks(file, messages)) {
        const childPath = path === '' ? name : `${path}/${name}`;
        if (!skip(childPath)) await visit(child, childPath, [...above, address]);
      }
    } else if (messages.some(({ type }) => type === MESSAGE.layout)) {
      const dataset = readDataset(file, messages, path);
      if ('unreadable' in dataset) {
        unreadable.set(path, dataset.unreadable);
        return;
      }
      datasets.set(path, dataset);
      const { layout } = dataset;
      if (layout.kind === 'contiguous' && layout.address !== undefined) {
        extents.set(address, { address: layout.address, bytes: dataset.count * DTYPE_BYTES[dataset.dtype] });
      }
    }
  }

  await visit(file.root, '', []);
  checkOverlap(file, [...extents.values()]);
  return { groups, datasets, unreadable };
}

function isGroup(messages: readonly Message[]): boolean {
  return messages.some(({ type }) => type === MESSAGE.symbolTable || type === MESSAGE.linkInfo || type === MESSAGE.link);
}
