import { aliasesFor } from '../network/layers.js';
import type { Network } from '../network/plan.js';
import type { Summary } from '../network/summary.js';
import { table } from './text.js';

/** Of the picture, in pixels; the network's own where it is left out. */
export interface Size {
  height?: number;
  width?: number;
}

/** A network and its costs, as the JSON documents of `vgg info` have them. */
export const describe = (
  { name, classes, top }: Network,
  { input, parameters, statistics, macs, rows }: Summary,
  aliases?: (layer: string) => string[],
) => ({
  architecture: name,
  input,
  classes: top ? classes : undefined,
  parameters,
  statistics: statistics > 0 ? statistics : undefined,
  macs,
  layers: rows.map(({ name, kind, output, parameters, macs, receptiveField, stride }) => ({
    name,
    kind,
    output,
    parameters,
    macs,
    receptiveField,
    stride,
    aliases: aliases?.(name),
  })),
});

export const otherNames = (network: Network) => (layer: string) => aliasesFor(network, layer).slice(1);

export function aliasTable(network: Network): string {
  const names = otherNames(network);
  return table(
    ['layer', 'other names'],
    network.layers.map(({ name }) => [name, names(name).join(', ')]),
  );
}
