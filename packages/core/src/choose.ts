import { VggError } from '@vgg/errors';
import type { Environment } from './environment.js';
import { BACKENDS, type BackendName, type BackendReport, named } from './probe.js';

/** What a caller may ask for. */
export type BackendWish = 'auto' | BackendName;

/** One look at one backend during a choice. */
export interface Step {
  name: BackendName;
  /** Taken, or why not. */
  reason: string;
}

/** The order in which backends are to be tried, and why the others are not. */
export interface Plan {
  candidates: BackendReport[];
  passedOver: Step[];
}

/**
 * The wish of the caller, or else that of the environment (`VGG_BACKEND`, `?backend=`).
 *
 * @throws VggError `VGG_OPTION` when it names no backend
 */
export function resolveWish(wish: string, environment: Environment): BackendWish {
  const outside = wish === 'auto' ? environment.wish : undefined;
  const resolved = outside ?? wish;
  if (resolved === 'auto' || (BACKENDS as readonly string[]).includes(resolved)) return resolved as BackendWish;
  const where = outside === undefined ? 'openBackend' : environment.wishFrom;
  throw new VggError('VGG_OPTION', `${where}: expected auto, webgpu, wasm or cpu, received ${JSON.stringify(resolved)}`);
}

/**
 * Orders what is available: a graphics adapter, WASM, a software adapter, plain JavaScript.
 * A software adapter gives the right numbers, and WASM gives them sooner.
 */
export function planBackends(reports: readonly BackendReport[]): Plan {
  const found = (name: BackendName) => reports.find((report) => report.name === name);
  const [gpu, wasm, cpu] = BACKENDS.map(found);
  const candidates: BackendReport[] = [];
  const passedOver: Step[] = [];
  const soft = gpu?.available && gpu.software;
  if (gpu?.available && !soft) candidates.push(gpu);
  if (wasm?.available) candidates.push(wasm);
  if (soft) candidates.push(gpu);
  if (cpu?.available) candidates.push(cpu);
  for (const report of reports) if (!report.available) passedOver.push({ name: report.name, reason: report.reason });
  if (soft && wasm?.available) {
    passedOver.push({
      name: 'webgpu',
      reason: `its adapter (${named(gpu.adapter)}) is software, which WASM outruns; ask for webgpu by name to use it`,
    });
  }
  return { candidates, passedOver };
}

const REMEDY: Record<BackendName, string> = {
  webgpu: 'use backend wasm or auto, or a browser and driver with WebGPU (in Node: npm install webgpu)',
  wasm: 'use backend webgpu or cpu, or an engine with WebAssembly',
  cpu: 'use backend auto',
};

/** The error for a backend that was asked for by name and is not there. */
export function absent(name: BackendName, reason: string, cause?: unknown): VggError {
  return new VggError('VGG_BACKEND', `openBackend: expected backend ${name} and it is not available: ${reason}; ${REMEDY[name]}`, {
    cause,
  });
}
