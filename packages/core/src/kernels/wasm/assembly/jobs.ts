// What threads share: each job is a layer cut into items, and `item` says which one. An item reads and writes only what is its own,
// its private memory `work` and its part of the output, so items run in any order, on any thread, and give the same bits.

import { convolveRows } from './direct';
import { transformFilter } from './filter';
import { Layer, min } from './layer';
import { convolveWindows } from './windows';
import { convolvePanels, convolveStrip, transformInput } from './winograd';

/** Output rows of the direct kernel. `work`: `rowBytes(layer)`. */
export function convolveRowsItem(layer: Layer, work: usize, item: i32): void {
  const from = item * layer.rowsPerItem;
  convolveRows(layer, work, from, min(from + layer.rowsPerItem, layer.batch * layer.outHeight));
}

/** Some output pixels and panels of the product on the filter as it lies. `work`: `windowBytes()`. */
export function convolveWindowsItem(layer: Layer, work: usize, item: i32): void {
  const pixels = layer.batch * layer.outHeight * layer.outWidth;
  const ranges = (pixels + layer.rowsPerItem - 1) / layer.rowsPerItem;
  const from = (item % ranges) * layer.rowsPerItem;
  const panel = (item / ranges) * layer.panelsPerItem;
  convolveWindows(layer, work, from, min(from + layer.rowsPerItem, pixels), panel, min(panel + layer.panelsPerItem, layer.panels));
}

/** A strip from its input to its output. `work`: `stripBytes(layer, layer.rowsPerItem)`. */
export function convolveStripItem(layer: Layer, work: usize, item: i32): void {
  const from = item * layer.rowsPerItem;
  convolveStrip(layer, work, from, min(from + layer.rowsPerItem, layer.batch * (layer.rows6 + layer.rows4)));
}

/** Transformed input of a few tiles of one strip, for all panels. `work`: as `multiplyItem`. */
export function transformInputItem(layer: Layer, work: usize, item: i32): void {
  const tiles = (layer.stripTo - layer.stripFrom) * (layer.columns6 + layer.columns4);
  const first = item * layer.tilesPerItem;
  transformInput(layer, work, layer.strip, layer.stripFrom, layer.stripTo, first, min(first + layer.tilesPerItem, tiles));
}

/** A few panels of one strip, when its input is transformed. `work`: `panelBytes(layer, tiles, layer.panelsPerItem)`. */
export function multiplyItem(layer: Layer, work: usize, item: i32): void {
  const panel = item * layer.panelsPerItem;
  const count = min(layer.panelsPerItem, layer.panels - panel);
  convolvePanels(layer, work, layer.strip, layer.stripFrom, layer.stripTo, panel, count);
}

/** A filter that is to be transformed, as the caller writes it into the heap: FILTER_FIELDS there. */
@unmanaged
export class Filter {
  input: usize;
  output: usize;
  inChannels: i32;
  outChannels: i32;
  points: i32;
  blockPanels: i32;
  flipped: i32;
}

/** One panel of a filter. `work`: 9856 bytes. */
export function transformFilterItem(filter: Filter, work: usize, item: i32): void {
  transformFilter(
    filter.input,
    filter.output,
    work,
    filter.inChannels,
    filter.outChannels,
    filter.points,
    filter.blockPanels,
    filter.flipped != 0,
    item,
    item + 1,
  );
}
