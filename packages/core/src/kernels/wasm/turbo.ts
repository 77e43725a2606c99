import type { Simd } from './features.js';

interface Globals {
  process?: {
    versions?: { v8?: string; bun?: string; deno?: string };
    getBuiltinModule?(name: 'node:v8'): { setFlagsFromString(flags: string): void };
  };
}

/** V8 of Node 24; of earlier ones the flag either is not there or joins little. */
const LEAST_V8 = 13;

/** Whether turbo is on, and why, for people. */
export interface Turbo {
  on: boolean;
  why: string;
}

/**
 * Has V8 join pairs of 128-bit vectors into 256-bit ones (`--experimental-wasm-revectorize`) in what WebAssembly it compiles from now on, in all
 * threads of the process. The flag is experimental, and so opt-in; results are the same to the bit.
 */
export function startTurbo(simd: Simd, globals = globalThis as unknown as Globals): Turbo {
  const { versions, getBuiltinModule } = globals.process ?? {};
  if (!versions?.v8 || versions.bun || versions.deno || !getBuiltinModule)
    return { on: false, why: 'turbo is for Node, whose engine takes the flag it needs' };
  if (Number.parseInt(versions.v8, 10) < LEAST_V8) return { on: false, why: `turbo needs Node 24 or later (this V8 is ${versions.v8})` };
  if (simd !== 'relaxed') return { on: false, why: 'turbo needs relaxed SIMD, and this engine has none' };
  getBuiltinModule.call(globals.process, 'node:v8').setFlagsFromString('--experimental-wasm-revectorize');
  return { on: true, why: 'V8 joins vectors (--experimental-wasm-revectorize)' };
}
