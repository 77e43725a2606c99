import type { MemoryMode } from '@vgg/core';
import { networkDiagram } from '../network/diagram.js';
import { formatSummary } from '../network/format-summary.js';
import { aliasesFor } from '../network/layers.js';
import { megabytes, planMemory } from '../network/memory.js';
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

/** What the network takes of the wasm backend's heap, for one picture on one thread. */
export const memoryPlans = (network: Network, size: Size) => {
  const plan = (memory: MemoryMode) => planMemory(network, { size, memory });
  return { fast: plan('fast'), balanced: plan('balanced'), small: plan('small') };
};

/** `fast 516 MB, balanced 131 MB, small 80 MB` */
export const memoryTotals = (plans: ReturnType<typeof memoryPlans>): string =>
  Object.entries(plans)
    .map(([mode, { total }]) => `${mode} ${megabytes(total)}`)
    .join(', ');

/** How a network is shown to people. */
export const STYLES = ['text', 'markdown', 'svg'] as const;
export type Style = (typeof STYLES)[number];

/** The network alone, for a document: its table as Markdown or its drawing. */
export const forDocument = (summary: Summary, style: Exclude<Style, 'text'>): string =>
  style === 'svg' ? networkDiagram(summary) : formatSummary(summary, { style });

export const otherNames = (network: Network) => (layer: string) => aliasesFor(network, layer).slice(1);

export function aliasTable(network: Network): string {
  const names = otherNames(network);
  return table(
    ['layer', 'other names'],
    network.layers.map(({ name }) => [name, names(name).join(', ')]),
  );
}
