import { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import * as factoryModule from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.js';
import { fetchFailure, messageOf, throwIfAborted, VggError } from '@vgg/errors';
import { shareMemory } from './memory-section.js';
import type { WasmRuntime } from './runtime.js';

/** Where the bytes of tfjs's WASM binary come from, and how its memory is made. */
export interface InstantiateOptions {
  /** The bytes of `tfjs-backend-wasm-simd.wasm`, in place of those in the package. */
  wasmBinary?: ArrayBuffer | Uint8Array;
  /** An address to fetch them from, for pages that keep the .wasm file apart. */
  wasmUrl?: string | URL;
  /** Whether the engine has SIMD: decides which binary of the package is taken. */
  simd: boolean;
  /** Make the memory a SharedArrayBuffer. */
  shared: boolean;
  signal?: AbortSignal;
}

/** What emscripten's factory gives back, as far as it is used here. */
interface TfjsModule {
  asm: Record<string, WebAssembly.ExportValue>;
  HEAPU8: Uint8Array;
  cwrap(name: string, result: string | null, args: string[]): (...args: number[]) => number;
  _malloc(bytes: number): number;
  _free(pointer: number): void;
  _dispose(): void;
  tfjs: unknown;
}
type Factory = (options: object) => Promise<TfjsModule>;

/** A running tfjs WASM backend, not yet registered, and what its binary complained about. */
export interface Instantiated {
  runtime: WasmRuntime;
  /** Messages of the binary since the last look (XNNPACK reports a failed operator here and nowhere else). */
  complaints: string[];
}

/**
 * Instantiates tfjs-backend-wasm's binary ourselves, which gives three things that its own `init` does not: no .wasm file to be
 * found by address, a memory that can be shared with our own threads, and an allocator that says when it is full.
 *
 * @throws VggError `VGG_BACKEND` when the bytes cannot be had or do not start
 */
export async function instantiate(options: InstantiateOptions): Promise<Instantiated> {
  const given = await binary(options);
  throwIfAborted(options.signal, 'openBackend');
  const bytes = options.shared ? shareMemory(given) : given;
  const complaints: string[] = [];
  const { module, memory } = await start(bytes, complaints);
  const allocate = module.asm.malloc as (bytes: number) => number;
  const release = module.asm.free as (pointer: number) => void;

  const malloc = (size: number): number => {
    // Above 2 GiB the signed answer is negative; a full heap answers 0, or with memory that is not there.
    const pointer = allocate(size) >>> 0;
    const end = memory.buffer.byteLength;
    if ((pointer === 0 && size > 0) || pointer + size > end) {
      if (pointer !== 0) release(pointer);
      throw new VggError(
        'VGG_MEMORY',
        `wasm: expected room for ${mebibytes(size)} on a heap of ${mebibytes(end)} (at most 4096 MiB) and there is none; use smaller batches or pictures, or dispose what is no longer needed`,
      );
    }
    return pointer;
  };
  module._malloc = malloc;
  // The factory's own dispose also removes every process listener that was there before it: keep only the C function.
  module._dispose = module.asm.dispose as () => void;
  module.tfjs = {
    init: module.cwrap('init', null, []),
    initWithThreadsCount: module.cwrap('init_with_threads_count', null, ['number']),
    getThreadsCount: module.cwrap('get_threads_count', 'number', []),
    registerTensor: module.cwrap('register_tensor', null, ['number', 'number', 'number']),
    disposeData: module.cwrap('dispose_data', null, ['number']),
    dispose: module.cwrap('dispose', null, []),
  };
  const backend = new BackendWasm(module as unknown as ConstructorParameters<typeof BackendWasm>[0]);
  return { runtime: { backend, memory, shared: options.shared, malloc, free: (pointer) => release(pointer) }, complaints };
}

async function binary(options: InstantiateOptions): Promise<Uint8Array<ArrayBuffer>> {
  if (options.wasmBinary) return new Uint8Array(options.wasmBinary);
  if (options.wasmUrl) return fetchBinary(options.wasmUrl, options.signal);
  const text = options.simd
    ? await import('wasm:@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm')
    : await import('wasm:@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.wasm');
  return Uint8Array.from(atob(text.default), (character) => character.charCodeAt(0));
}

async function fetchBinary(url: string | URL, signal: AbortSignal | undefined): Promise<Uint8Array<ArrayBuffer>> {
  let failure: string;
  try {
    const response = await fetch(url, signal ? { signal } : {});
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    failure = `the server answered ${response.status}`;
  } catch (error) {
    throwIfAborted(signal, 'openBackend');
    failure = fetchFailure(error);
  }
  throw new VggError(
    'VGG_BACKEND',
    `wasm: expected the backend's binary at ${url} and ${failure}; check wasmUrl, or leave it out to use the copy in the package`,
  );
}

/** A module, and its memory itself: the module has a stand-in for it. */
interface Started {
  module: TfjsModule;
  memory: WebAssembly.Memory;
}

async function start(bytes: Uint8Array<ArrayBuffer>, complaints: string[]): Promise<Started> {
  // CommonJS seen from ESM: the function is the default export, or the default of the default, as the bundler likes.
  const imported = factoryModule as unknown as { default?: Factory | { default: Factory } };
  const inner = imported.default ?? (imported as unknown as Factory);
  const factory = typeof inner === 'function' ? inner : inner.default;
  try {
    return await new Promise<Started>((resolve, reject) => {
      const removeListeners = watchListeners();
      let memory: WebAssembly.Memory;
      const starting = factory({
        print: () => {},
        printErr: (message: string) => complaints.push(message),
        onAbort: (what: unknown) => reject(new Error(String(what))),
        instantiateWasm: (imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) => {
          const growth = exactGrowth(imports);
          WebAssembly.instantiate(bytes, imports).then(({ instance: { exports } }) => {
            memory = exports.memory as WebAssembly.Memory;
            done({ exports: { ...exports, memory: growth(memory) as WebAssembly.Memory } });
          }, reject);
          return {};
        },
      });
      removeListeners();
      starting.then((module) => resolve({ module, memory }), reject);
    });
  } catch (error) {
    throw new VggError('VGG_BACKEND', `wasm: expected tfjs-backend-wasm's binary to start and it did not: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

const PAGE = 65536;
/** The heap grows by this more than it must, so that small tensors do not grow it one by one. */
const SPARE = 2 ** 20;

/**
 * Emscripten makes a heap a fifth larger than it must be, up to 96 MiB at a time. This notes what is asked for, and gives the module a
 * memory that grows by that and no more.
 */
function exactGrowth(imports: WebAssembly.Imports): (memory: WebAssembly.Memory) => Pick<WebAssembly.Memory, 'buffer' | 'grow'> {
  const resize = imports.env?.emscripten_resize_heap;
  let wanted = Number.POSITIVE_INFINITY;
  if (typeof resize === 'function') {
    imports.env.emscripten_resize_heap = (bytes: number) => {
      wanted = bytes >>> 0;
      return resize(bytes);
    };
  }
  return (memory) => ({
    get buffer() {
      return memory.buffer;
    },
    grow(pages: number) {
      return memory.grow(Math.min(pages, Math.ceil((wanted + SPARE - memory.buffer.byteLength) / PAGE)));
    },
  });
}

const EVENTS = ['uncaughtException', 'unhandledRejection'] as const;

/** Emscripten's factory adds process listeners that rethrow; the answer removes those that came after this call, and only those. */
function watchListeners(): () => void {
  const node = (globalThis as { process?: NodeJS.Process }).process;
  if (typeof node?.listeners !== 'function' || typeof node.removeListener !== 'function') return () => {};
  const before = EVENTS.map((event) => new Set<unknown>(node.listeners(event as 'uncaughtException')));
  return () => {
    EVENTS.forEach((event, i) => {
      for (const listener of node.listeners(event as 'uncaughtException'))
        if (!before[i].has(listener)) node.removeListener(event, listener);
    });
  };
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
