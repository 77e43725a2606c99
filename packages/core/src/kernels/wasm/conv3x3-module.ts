import { VggError } from '@vgg/errors';
import { simdOf } from './features.js';
import { LAYER_ITEM_KERNELS, type LayerExports } from './layer-exports.js';
import { unshareImport } from './memory-section.js';
import type { WasmRuntime } from './runtime.js';
import type { ItemKernel } from './threads/layout.js';

/** Which build of the kernels runs: `fixed` multiplies and adds, `relaxed` has fused multiply-add. */
export type Conv3x3Build = 'fixed' | 'relaxed';

/** The exports of assembly/conv3x3.ts that threads share. */
export const ITEM_KERNELS = [
  'convolveRowsItem',
  'convolveStripItem',
  'convolveWindowsItem',
  'transformInputItem',
  'multiplyItem',
  'transformFilterItem',
  'transformGradientItem',
  'filterGradientItem',
  'filterGradientStripItem',
  'addSlotsItem',
  'transformTwosItem',
  'multiplyTwosItem',
  'transformTwosGradientItem',
  'filterGradientTwosItem',
  ...LAYER_ITEM_KERNELS,
] as const;
export type ItemKernelName = (typeof ITEM_KERNELS)[number];

/** What assembly/conv3x3.ts exports; pointers and counts are plain numbers. */
export interface Conv3x3Exports extends LayerExports, Record<ItemKernelName, ItemKernel> {
  writeConstants(at: number): void;
  packFilter(filter: number, output: number, inChannels: number, outChannels: number, flipped: number): void;
  rowBytes(layer: number): number;
  windowBytes(): number;
  twosBytes(layer: number, images: number): number;
  twosInputBytes(layer: number, images: number): number;
  twosGradientBytes(layer: number, images: number): number;
  stripBytes(layer: number, rows: number): number;
  panelBytes(layer: number, tiles: number, panels: number): number;
  inputBytes(layer: number, tiles: number): number;
  gradientBytes(job: number, tiles: number): number;
  filterGradientBytes(job: number): number;
  filterGradientStripBytes(job: number): number;
  slotBytes(job: number): number;
  multiplyPanel(a: number, b: number, c: number, rows: number, chunks: number, last: number, chunkStride: number): void;
}

/** A build on the backend's memory, and the module it is an instance of, for instances in other threads. */
export interface LoadedConv3x3 {
  build: Conv3x3Build;
  kernels: Conv3x3Exports;
  module: WebAssembly.Module;
}

/**
 * Instantiates the kernels on the backend's memory. Without a wish, the relaxed build is taken where the engine has it and the processor
 * fuses multiply-add. The two builds round differently: the same machine takes the same one every time.
 *
 * @throws VggError `VGG_BACKEND` when the engine has no SIMD, or not the build that is wished for
 */
export async function loadConv3x3(runtime: WasmRuntime, wish?: Conv3x3Build): Promise<LoadedConv3x3> {
  const simd = simdOf(WebAssembly);
  if (simd === 'none' || (wish === 'relaxed' && simd !== 'relaxed')) {
    const missing = simd === 'none' ? 'SIMD' : 'relaxed SIMD';
    throw new VggError(
      'VGG_BACKEND',
      `conv3x3: expected an engine with ${missing} and this one has none; update it, or choose another build`,
    );
  }
  if (wish === 'fixed' || simd === 'fixed') return instantiateBuild(runtime, 'fixed');
  const relaxed = await instantiateBuild(runtime, 'relaxed');
  if (wish === 'relaxed') return relaxed;
  return isFused(runtime, relaxed.kernels) ? relaxed : instantiateBuild(runtime, 'fixed');
}

async function instantiateBuild(runtime: WasmRuntime, build: Conv3x3Build): Promise<LoadedConv3x3> {
  const text = build === 'relaxed' ? await import('./assembly/conv3x3.relaxed.ts?wasm') : await import('./assembly/conv3x3.ts?wasm');
  const bytes = Uint8Array.from(atob(text.default), (character) => character.charCodeAt(0));
  if (!runtime.shared) unshareImport(bytes);
  const { instance, module } = await WebAssembly.instantiate(bytes, { env: { memory: runtime.memory } });
  return { build, kernels: instance.exports as unknown as Conv3x3Exports, module };
}

/**
 * Whether the processor multiplies and adds in one step: without it the larger blocks of the relaxed build do not fit the registers and
 * take 1.6 times as long. The bits tell, where a clock would answer otherwise on a busy day: (1 + e)(1 + e) - (1 + 2e) is e * e when it is
 * rounded once, and 0 when the product is rounded first.
 */
function isFused(runtime: WasmRuntime, relaxed: Conv3x3Exports): boolean {
  const e = 2 ** -12;
  const row = 256;
  const at = runtime.malloc(row + 2 * 32 + 32);
  try {
    const heap = new Float32Array(runtime.memory.buffer, at, (row + 2 * 32 + 32) / 4).fill(0);
    const [b, c] = [row / 4, row / 4 + 16];
    heap.set([1, 1 + e]);
    heap[b] = -(1 + 2 * e);
    heap[b + 8] = 1 + e;
    relaxed.multiplyPanel(at, at + row, at + row + 2 * 32, 1, 1, 8, row);
    return heap[c] !== 0;
  } finally {
    runtime.free(at);
  }
}
