import { VggError } from '@vgg/errors';
import { didYouMean } from '../text/suggest.js';
import type { Layer, Network } from './plan.js';
import type { TapName } from './tap-names.js';

/**
 * The names that a network's features can be asked by, in the order they are computed: the paper's 37 in VGG-16.
 * Dropout and `flatten` change no value, so they are left out here, though {@link resolveLayer} knows them.
 */
export function tapNames(network: Pick<Network, 'layers'>): string[] {
  return network.layers.filter((layer) => layer.kind !== 'dropout' && layer.kind !== 'flatten').map((layer) => layer.name);
}

/**
 * The paper's name for a layer, from its own name or an alias, whatever the case:
 *
 * | name | means |
 * |---|---|
 * | `conv5` | the block's last activation before its pool: `relu5_3` in VGG-16, `relu5_4` in VGG-19 |
 * | Keras `block5_conv3`, `block5_pool`, `fc1`, `fc2`, `predictions` | `relu5_3` (Keras layers hold their activation), `pool5`, `relu6`, `relu7`, `prob` |
 * | torchvision `features.28`, `features.29`, `features.30`, `classifier.0` | `conv5_3`, `relu5_3`, `pool5`, `fc6` |
 * | timm `features.29`, `pre_logits.fc1`, `pre_logits.act1`, `pre_logits`, `head.fc` | `relu5_3`, `fc6`, `relu6`, `relu7`, `fc8` |
 * | Caffe `conv5_3`, `fc6`, `prob` | the same: the layer's own output, before the ReLU that Caffe runs in place |
 * | `logits` | the last dense layer |
 *
 * @throws VggError `VGG_LAYER`, with the nearest name
 * @example
 * resolveLayer(network('vgg16'), 'features.29'); // 'relu5_3'
 */
export function resolveLayer(network: Pick<Network, 'layers' | 'name'>, name: TapName): string {
  const aliases = aliasesOf(network.layers);
  const found = aliases.get(normalized(String(name)));
  if (found !== undefined) return found;
  const typed = String(name).slice(0, 64);
  const taps = tapNames(network);
  const missing = aliasesElsewhere(typed, network);
  throw new VggError(
    'VGG_LAYER',
    `${network.name}: expected a layer such as ${examples(taps)}, received "${typed}"${missing || didYouMean(typed, [...taps, ...aliases.keys()])}; \`vgg info ${network.name}\` lists them all`,
  );
}

/** Every alias of a layer, the paper's name first. */
export function aliasesFor(network: Pick<Network, 'layers'>, layer: string): string[] {
  return [layer, ...[...aliasesOf(network.layers)].filter(([alias, name]) => name === layer && alias !== layer).map(([alias]) => alias)];
}

/**
 * The layers up to the deepest of the taps, in the order they run; nothing after it need be read or computed.
 * @throws VggError `VGG_LAYER` for an unknown tap, or none
 */
export function prefix(network: Pick<Network, 'layers' | 'name'>, taps: readonly TapName[]): Layer[] {
  if (taps.length === 0) throw new VggError('VGG_LAYER', `${network.name}: expected at least one layer, received none`);
  const names = taps.map((tap) => resolveLayer(network, tap));
  const deepest = Math.max(...names.map((name) => network.layers.findIndex((layer) => layer.name === name)));
  return network.layers.slice(0, deepest + 1);
}

function aliasesOf(layers: readonly Layer[]): Map<string, string> {
  const aliases = new Map<string, string>();
  // The first meaning of a name stays: a layer's own name is never taken over by an alias.
  const add = (alias: string, name: string) => {
    if (!aliases.has(alias)) aliases.set(alias, name);
  };
  for (const layer of layers) add(layer.name, layer.name);
  addFeatures(layers, add);
  addTop(layers, add);
  return aliases;
}

type Add = (alias: string, name: string) => void;

function addFeatures(layers: readonly Layer[], add: Add): void {
  let position = 0;
  const last = new Map<string, string>();
  for (const { kind, name } of layers) {
    const relu = /^relu(\d+)_(\d+)$/.exec(name);
    const pool = /^pool(\d+)$/.exec(name);
    const isFeature = relu !== null || pool !== null || /^(conv|bn)\d+_\d+$/.test(name) || kind === 'lrn';
    if (!isFeature) continue;
    // Both number the convolutions, batch norms, ReLUs and pools as they come; neither has A-LRN, so its norm gets no number, nor
    // does conv0 in front, which AdaIN added.
    if (kind !== 'lrn') add(`features.${position++}`, name);
    if (relu) {
      add(`block${relu[1]}_conv${relu[2]}`, name);
      last.set(relu[1]!, name);
    }
    if (pool) add(`block${pool[1]}_pool`, name);
  }
  for (const [block, name] of last) add(`conv${block}`, name);
}

function addTop(layers: readonly Layer[], add: Add): void {
  const has = (name: string) => layers.some((layer) => layer.name === name);
  const denses = layers.filter((layer) => /^fc\d+$/.test(layer.name)).map((layer) => Number(layer.name.slice(2)));
  const output = denses.pop();
  if (output === undefined) return;
  denses.forEach((number, index) => {
    const drop = has(`drop${number}`) ? `drop${number}` : `relu${number}`;
    add(`fc${index + 1}`, `relu${number}`);
    add(`classifier.${3 * index}`, `fc${number}`);
    add(`classifier.${3 * index + 1}`, `relu${number}`);
    add(`classifier.${3 * index + 2}`, drop);
    add(`pre_logits.fc${index + 1}`, `fc${number}`);
    add(`pre_logits.act${index + 1}`, `relu${number}`);
  });
  if (denses.length > 0) {
    add('pre_logits.drop', has(`drop${denses[0]}`) ? `drop${denses[0]}` : `relu${denses[0]}`);
    add('pre_logits', `relu${denses.at(-1)}`);
  }
  add(`classifier.${3 * denses.length}`, `fc${output}`);
  for (const alias of ['head.fc', 'logits']) add(alias, `fc${output}`);
  add('predictions', 'prob');
}

/** `features[29]`, `features/29` and `Features.29` are one name. */
function normalized(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/\[(\d+)\]/g, '.$1')
    .replaceAll('/', '.');
}

/** A name of the family that this network lacks, such as fc6 without the dense layers, deserves better than a guess at its spelling. */
function aliasesElsewhere(name: string, network: Pick<Network, 'layers' | 'name'>): string {
  const isTop = /^((fc|relu|drop)\d+|prob|predictions|logits|classifier\.\d+|(pre_logits|head)(\..*)?)$/.test(normalized(name));
  return isTop && !network.layers.some((layer) => layer.name === 'prob') ? ' (this network is without its dense layers)' : '';
}

function examples(taps: readonly string[]): string {
  const relus = taps.filter((tap) => /^relu\d+_\d+$/.test(tap));
  return [relus.at(-1), taps.findLast((tap) => tap.startsWith('pool')), taps.find((tap) => tap.startsWith('fc'))]
    .filter((tap) => tap !== undefined)
    .join(', ');
}

export type { PaperTap, TapName } from './tap-names.js';
