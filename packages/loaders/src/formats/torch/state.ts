import { VggError } from '@vgg/errors';
import type { WeightFile } from '../../format.js';
import type { Source } from '../../source.js';
import { Dict, textOf, type Value } from '../pickle/values.js';
import { type Leaf, leavesOf } from '../pickle/walk.js';
import { missingTensor, weightFile } from '../tensors.js';
import { type Storage, storageTensor, TorchTensor } from './tensors.js';

/** Where a storage's values begin, or why they are not there. */
export type StoragePlace = { readonly source: Source; readonly offset: number } | { readonly absence: string };

export interface TorchContent {
  readonly who: string;
  readonly format: string;
  /** What the file's pickle holds. */
  readonly root: Value;
  readonly littleEndian: boolean;
  place(storage: Storage): StoragePlace;
  readonly metadata?: ReadonlyMap<string, string>;
  close?: (() => Promise<void>) | undefined;
}

/** Keys under which training scripts put the weights beside their own state, the first that is there. */
const WEIGHTS = ['state_dict', 'model_state_dict', 'model', 'model_state', 'net', 'network', 'weights', 'params'];
/** What has tensors and is no weights: moments of optimizers, states of schedules and of random generators. */
const NO_WEIGHTS = /optim|sched|scaler|rng|ema_?updates|loss|metric/i;
/** Entries of a checkpoint shown as metadata: those of training scripts have about five. */
const MAX_METADATA = 64;

/**
 * The tensors of a state dict, or of the one within a checkpoint: `{ state_dict: {...}, optimizer: {...}, epoch: 90 }`.
 * @throws VggError `VGG_FORMAT` if it holds none, `VGG_INTEGRITY`
 */
export function torchFile(content: TorchContent): WeightFile {
  const { who, root, littleEndian } = content;
  const leaves = leavesOf(root, TorchTensor, who).filter(({ value }) => value.storage);
  const { chosen, container, ignored } = choose(leaves);
  if (chosen.length === 0) {
    throw new VggError(
      'VGG_FORMAT',
      `${who}: expected a dict of tensors, received a PyTorch file without tensors; in Python, save model.state_dict(), with its brackets`,
    );
  }
  const metadata = new Map([...(content.metadata ?? []), ...notes(root)]);
  if (container !== undefined) metadata.set('container', container);
  if (ignored.length > 0) metadata.set('ignored', ignored.join(', '));
  const drop = container === undefined ? 0 : 1;
  return weightFile({
    who,
    format: content.format,
    metadata,
    tensors: chosen.map(({ path, value }) => {
      const name = path.slice(drop).join('.') || 'tensor';
      const place = content.place(value.storage!);
      if ('absence' in place) return missingTensor({ name, shape: value.shape, dtype: value.type }, place.absence);
      return storageTensor(name, value, place.source, place.offset, littleEndian);
    }),
    ...(content.close && { close: content.close }),
  });
}

interface Choice {
  chosen: readonly Leaf<TorchTensor>[];
  /** The key of the dict that they are in, where the file has several. */
  container?: string;
  /** Keys of what else has tensors. */
  ignored: readonly string[];
}

function choose(leaves: readonly Leaf<TorchTensor>[]): Choice {
  // Tensors at the top: the file is the state dict itself.
  if (leaves.some(({ path }) => path.length < 2)) return { chosen: leaves, ignored: [] };
  const keys = [...new Set(leaves.map(({ path }) => path[0]!))];
  const candidates = keys.filter((key) => !NO_WEIGHTS.test(key));
  const container = WEIGHTS.find((key) => candidates.includes(key)) ?? (candidates.length === 1 ? candidates[0] : undefined);
  const isChosen = (key: string) => (container === undefined ? candidates.includes(key) : key === container);
  return {
    chosen: leaves.filter(({ path }) => isChosen(path[0]!)),
    ...(container !== undefined && { container }),
    ignored: keys.filter((key) => !isChosen(key)),
  };
}

/** Numbers and short texts beside the weights: `arch`, `epoch`. */
function* notes(root: Value): Generator<[string, string]> {
  if (!(root instanceof Dict)) return;
  let count = 0;
  for (const [key, value] of root.entries) {
    const name = textOf(key);
    const text = typeof value === 'number' || typeof value === 'boolean' ? String(value) : textOf(value);
    if (name === undefined || text === undefined) continue;
    if (++count > MAX_METADATA) return;
    yield [name, text];
  }
}
