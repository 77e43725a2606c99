/** The part of a WebGPU adapter that is asked about; `navigator.gpu`'s own adapters satisfy it. */
export interface AdapterLike {
  readonly info?: { readonly vendor?: string; readonly architecture?: string; readonly device?: string; readonly description?: string };
  readonly isFallbackAdapter?: boolean;
  readonly limits: object;
  readonly features: { has(name: string): boolean; forEach(visit: (name: string) => void): void };
  requestDevice(descriptor?: object): Promise<unknown>;
}

/** The part of `navigator.gpu` that is used. */
export interface GpuLike {
  requestAdapter(options?: object): Promise<AdapterLike | null>;
}

/** What the engine offers, as the probes see it; every part can be replaced by a fake in a test. */
export interface Environment {
  /** `navigator.gpu`, or in Node that of the optional package `webgpu`; a sentence says why there is none. */
  gpu(): Promise<GpuLike | string>;
  /** `WebAssembly`, if the engine has it. */
  readonly wasm: { validate(bytes: Uint8Array<ArrayBuffer>): boolean } | undefined;
  /** Whether a page was served with COOP and COEP, so that memory may be shared; true in Node, Bun and Deno. */
  readonly isolated: boolean;
  /** Whether this is a server-side engine (Node, Bun, Deno) and not a page or its worker. */
  readonly server: boolean;
  readonly sharedArrayBuffer: boolean;
  /** Logical processors. */
  readonly cores: number;
  /** A backend asked for from outside: the variable VGG_BACKEND, or `?backend=` in the page's URL. */
  readonly wish: string | undefined;
  /** Where `wish` was found, for the error's sentence. */
  readonly wishFrom: string;
  /** A number of threads asked for from outside: the variable VGG_THREADS, or `?threads=` in the page's URL. */
  readonly threads?: string | undefined;
  /** A memory mode asked for from outside: the variable VGG_MEMORY, or `?memory=` in the page's URL. */
  readonly memory?: string | undefined;
  /** Whether the variable VGG_TURBO is 1; never in a page. */
  readonly turbo?: boolean;
}

interface Globals {
  process?: {
    versions?: { node?: string };
    env?: Record<string, string | undefined>;
    /** Node 20.16 and later. */
    getBuiltinModule?(name: 'node:os'): { availableParallelism(): number };
  };
  navigator?: { gpu?: GpuLike; hardwareConcurrency?: number };
  location?: { search?: string };
  crossOriginIsolated?: boolean;
  SharedArrayBuffer?: unknown;
  document?: unknown;
}

/** The engine this runs on. Reading it has no side effect; `gpu()` loads Node's optional package `webgpu` on the first call. */
export function currentEnvironment(): Environment {
  const globals = globalThis as unknown as Globals;
  // Electron's renderers and bundled `process` shims have a document: they are pages.
  const server = globals.process?.versions?.node !== undefined && globals.document === undefined;
  const sharedArrayBuffer = globals.SharedArrayBuffer !== undefined;
  const query = new URLSearchParams(server ? '' : (globals.location?.search ?? ''));
  return {
    gpu: () => findGpu(server),
    wasm: typeof WebAssembly === 'undefined' ? undefined : WebAssembly,
    isolated: server ? sharedArrayBuffer : globals.crossOriginIsolated === true,
    server,
    sharedArrayBuffer,
    // Node has a navigator from version 21 on.
    cores: globals.navigator?.hardwareConcurrency ?? globals.process?.getBuiltinModule?.('node:os').availableParallelism() ?? 1,
    wish: (server ? variable(globals, 'VGG_BACKEND') : query.get('backend')) || undefined,
    wishFrom: server ? 'the environment variable VGG_BACKEND' : "the page's URL parameter backend",
    threads: (server ? variable(globals, 'VGG_THREADS') : query.get('threads')) || undefined,
    memory: (server ? variable(globals, 'VGG_MEMORY') : query.get('memory')) || undefined,
    turbo: server && variable(globals, 'VGG_TURBO') === '1',
  };
}

/** Deno asks for permission to read the environment; without it there is no wish. */
function variable(globals: Globals, name: string): string | undefined {
  try {
    return globals.process?.env?.[name];
  } catch {
    return undefined;
  }
}

async function findGpu(server: boolean): Promise<GpuLike | string> {
  const gpu = (globalThis as unknown as Globals).navigator?.gpu;
  if (gpu) return gpu;
  if (server) return (await import('./kernels/webgpu/node.js')).nodeGpu();
  return isSecure() ? 'this browser has no navigator.gpu' : 'navigator.gpu exists only on https: and localhost, and this page is neither';
}

function isSecure(): boolean {
  return (globalThis as { isSecureContext?: boolean }).isSecureContext !== false;
}
