import { resolveLayer, summarize, tapNames } from '../vgg/vgg.js';
import { element } from './dom.js';

/** Fills a select with a network's layers by block. Those that the weights do not reach are there, disabled, with the reason. */
export function fillTaps(select, { network }, reach, chosen) {
  const kept = select.value;
  const rows = new Map(summarize(network).rows.map((row) => [row.name, row]));
  const groups = Map.groupBy(tapNames(network), blockOf);
  select.replaceChildren(
    ...[...groups].map(([block, names]) =>
      element(
        'optgroup',
        { label: block },
        ...names.map((name) => {
          const within = reach.layers.has(name);
          const what = within
            ? `${rows.get(name).output.at(-1)} ${rows.get(name).output[0] > 1 ? 'channels' : 'values'}`
            : `needs ${reach.missing}, not in the file`;
          return element('option', { value: name, disabled: !within }, `${name} · ${what}`);
        }),
      ),
    ),
  );
  const known = tapNames(network).includes(kept) && reach.layers.has(kept);
  select.value = known ? kept : chosen;
}

function blockOf(name) {
  const block = /^(?:conv|bn|relu|pool)(\d+)(?:_|$)/.exec(name)?.[1] ?? (name === 'norm1' ? '1' : undefined);
  return block !== undefined && !/^relu\d+$/.test(name) ? `Block ${block}` : 'Dense layers';
}

/** A layer worth a first look: the end of block 3, where maps are still large and channels already know parts of things. */
export function firstLook(model) {
  const { layers } = model.network;
  const before = layers.slice(0, layers.findIndex(({ name }) => name === model.deepest) + 1);
  const middle = before.findLast(({ name }) => /^relu[123]_/.test(name));
  return middle?.name ?? resolveLayer(model.network, model.deepest);
}

/** Sizes that pictures can be squashed to. */
export function fillSizes(select, { network }, chosen) {
  const pools = network.layers.reduce((side, layer) => (layer.kind === 'pool' ? side * layer.stride : side), 1);
  const sizes = [32, 64, 96, 128, 160, 224, 320, 448].filter((size) => size >= pools);
  select.replaceChildren(
    element('option', { value: '' }, 'as the weights want'),
    ...sizes.map((size) => element('option', { value: size }, `${size} × ${size}`)),
  );
  select.value = chosen && sizes.includes(chosen) ? String(chosen) : '';
}

/** The size of a select made by {@link fillSizes}, as the library's option. */
export const sizeOf = (select) => (select.value === '' ? undefined : Number(select.value));
