import { VggError } from '@vgg/errors';
import { simdOf } from './features.js';
import type { LayerExports } from './layer-exports.js';
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
] as const;
export type ItemKernelName = (typeof ITEM_KERNELS)[number];

/** What assembly/conv3x3.ts exports; pointers and counts are plain numbers. */
export interface Conv3x3Exports extends LayerExports, Record<ItemKernelName, ItemKernel> {
  writeConstants(at: number): void;
  packFilter(filter: number, output: number, inChannels: number, outChannels: number): void;
  rowBytes(layer: number): number;
  windowBytes(): number;
  stripBytes(layer: number, rows: number): number;
  panelBytes(layer: number, tiles: number, panels: number): number;
  inputBytes(layer: number, tiles: number): number;
  multiplyPanel(a: number, b: number, c: number, rows: number, chunks: number, last: number, chunkStride: number): void;
}

/** A build on the backend's memory, and the module it is an instance of, for instances in other threads. */
export interface LoadedConv3x3 {
  build: Conv3x3Build;
  kernels: Conv3x3Exports;
  module: WebAssembly.Module;
}

/**
 * Instantiates the kernels on the backend's memory. Without a wish, the relaxed build is taken where the engine has it, unless a few
 * milliseconds of measuring show it far behind: on a processor without fused multiply-add its larger blocks do not fit the registers.
 * The two round differently, so the margin is wide: the same machine chooses the same build every time.
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
  const fixed = await instantiateBuild(runtime, 'fixed');
  return isFarBehind(runtime, relaxed.kernels, fixed.kernels) ? fixed : relaxed;
}

async function instantiateBuild(runtime: WasmRuntime, build: Conv3x3Build): Promise<LoadedConv3x3> {
  const text = build === 'relaxed' ? await import('./assembly/conv3x3.relaxed.ts?wasm') : await import('./assembly/conv3x3.ts?wasm');
  const bytes = Uint8Array.from(atob(text.default), (character) => character.charCodeAt(0));
  if (!runtime.shared) unshareImport(bytes);
  const { instance, module } = await WebAssembly.instantiate(bytes, { env: { memory: runtime.memory } });
  return { build, kernels: instance.exports as unknown as Conv3x3Exports, module };
}

/** How much slower the relaxed build must be to lose; a spilled register costs 1.6 times. */
const MARGIN = 1.3;
const BUDGET_MS = 10;

function isFarBehind(runtime: WasmRuntime, relaxed: Conv3x3Exports, fixed: Conv3x3Exports): boolean {
  const [rows, chunks] = [36, 2];
  const a = runtime.malloc(rows * chunks * 256 + chunks * 64 * 32 + rows * 32);
  try {
    const b = a + rows * chunks * 256;
    const c = b + chunks * 64 * 32;
    new Uint8Array(runtime.memory.buffer, a, c + rows * 32 - a).fill(0);
    const best = [Infinity, Infinity];
    const stop = performance.now() + BUDGET_MS;
    // The best of many short looks: the engine compiles the hot loop anew while this runs.
    while (performance.now() < stop) {
      [relaxed, fixed].forEach((kernels, i) => {
        const start = performance.now();
        for (let n = 0; n < 8; n++) kernels.multiplyPanel(a, b, c, rows, chunks, 256, rows * 256);
        best[i] = Math.min(best[i], performance.now() - start);
      });
    }
    return best[0] > best[1] * MARGIN;
  } finally {
    runtime.free(a);
  }
}
