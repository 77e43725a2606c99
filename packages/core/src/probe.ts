import { messageOf } from '@vgg/errors';
import { type AdapterLike, currentEnvironment, type Environment } from './environment.js';
import { type Simd, simdOf } from './kernels/wasm/features.js';
import { bestAdapter, featuresOf, limitsOf } from './kernels/webgpu/adapter.js';
import { threadsPossible, wantedThreads } from './threads.js';

/** The backends, in the order of preference. */
export const BACKENDS = ['webgpu', 'wasm', 'cpu'] as const;
export type BackendName = (typeof BACKENDS)[number];

/** A graphics adapter in its own words. */
export interface AdapterReport {
  vendor: string;
  architecture: string;
  description: string;
}

/** What one backend offers on this machine, as plain data for a report. */
export interface BackendReport {
  name: BackendName;
  available: boolean;
  /** A sentence: what it is, or why it is not there and what to do. */
  reason: string;
  /** webgpu: the adapter computes on the CPU. */
  software?: boolean;
  adapter?: AdapterReport;
  limits?: Record<string, number>;
  features?: string[];
  /** wasm: which vector instructions the engine runs. */
  simd?: Simd;
  /** wasm: how many threads are used, how many the machine has, and why not more. */
  threads?: { used: number; available: number; possible: boolean; reason: string };
  /** wasm: whether its memory is a SharedArrayBuffer. */
  sharedMemory?: boolean;
  isolated?: boolean;
}

/** Largest map of a VGG is 12.3 MiB and its largest filter 9 MiB; below this even a small batch has no room. */
const LEAST_BINDING = 64 * 2 ** 20;
/** What tfjs's shaders are written for, and what every WebGPU device that is not in compatibility mode has. */
const LEAST_INVOCATIONS = 256;
const LEAST_WORKGROUP_STORAGE = 16384;

/**
 * Asks what this machine offers. Starts no backend and loads none of their code.
 *
 * @example
 * (await probeBackends()).map((report) => `${report.name}: ${report.reason}`);
 * // ['webgpu: the optional package webgpu is not installed (npm install webgpu)', 'wasm: WASM with relaxed SIMD', 'cpu: plain JavaScript ...']
 */
export async function probeBackends(environment: Environment = currentEnvironment()): Promise<BackendReport[]> {
  return Promise.all(BACKENDS.map((name) => probeBackend(name, environment)));
}

/** Asks after one backend alone: a page that wants WASM need not wake its graphics driver. */
export async function probeBackend(name: BackendName, environment: Environment = currentEnvironment()): Promise<BackendReport> {
  if (name === 'webgpu') return probeWebGpu(environment);
  return name === 'wasm' ? probeWasm(environment) : probeCpu();
}

async function probeWebGpu(environment: Environment): Promise<BackendReport> {
  const absent = (reason: string): BackendReport => ({ name: 'webgpu', available: false, reason });
  let adapter: AdapterLike | null;
  try {
    const gpu = await environment.gpu();
    if (typeof gpu === 'string') return absent(gpu);
    adapter = await bestAdapter(gpu);
  } catch (error) {
    return absent(`asking for an adapter failed: ${messageOf(error)}`);
  }
  if (!adapter) return absent('navigator.gpu is there and offers no adapter (a driver is missing, blocked or switched off)');
  return describe(adapter);
}

function describe(adapter: AdapterLike): BackendReport {
  const report: BackendReport = {
    name: 'webgpu',
    available: true,
    reason: '',
    software: isSoftware(adapter),
    adapter: adapterReport(adapter),
    limits: limitsOf(adapter),
    features: featuresOf(adapter),
  };
  const low = lowLimit(report.limits ?? {});
  const who = named(report.adapter);
  if (low) return { ...report, available: false, reason: `the adapter (${who}) is too small for VGG: ${low}` };
  return {
    ...report,
    reason: report.software ? `a software adapter (${who}): right, and slower than WASM` : `a graphics adapter (${who})`,
  };
}

function lowLimit(limits: Record<string, number>): string | undefined {
  const least = {
    maxStorageBufferBindingSize: LEAST_BINDING,
    maxComputeInvocationsPerWorkgroup: LEAST_INVOCATIONS,
    maxComputeWorkgroupStorageSize: LEAST_WORKGROUP_STORAGE,
  };
  for (const [name, need] of Object.entries(least)) {
    if (!(limits[name] >= need)) return `${name} is ${limits[name] ?? 'unknown'} and at least ${need} is needed`;
  }
  return undefined;
}

function adapterReport(adapter: AdapterLike): AdapterReport {
  const { vendor = '', architecture = '', device = '', description = '' } = adapter.info ?? {};
  return { vendor, architecture, description: description || device };
}

/** An adapter's name for a sentence. */
export function named(adapter: AdapterReport | undefined): string {
  return [adapter?.vendor, adapter?.architecture, adapter?.description].filter(Boolean).join(' ') || 'unnamed';
}

/** Whether an adapter is a program on the CPU: it says so itself, or it is one of those known by name. */
function isSoftware(adapter: AdapterLike): boolean {
  const info = adapter.info as { isFallbackAdapter?: boolean } | undefined;
  if (adapter.isFallbackAdapter === true || info?.isFallbackAdapter === true) return true;
  return /swiftshader|llvmpipe|lavapipe|softpipe|basic render|warp/i.test(named(adapterReport(adapter)));
}

function probeWasm(environment: Environment): BackendReport {
  const simd = simdOf(environment.wasm);
  const { possible, why } = threadsPossible(environment);
  const threads = { available: environment.cores, possible, ...threadPlan(environment, possible && simd !== 'none', why) };
  const report = { name: 'wasm' as const, simd, threads, sharedMemory: possible, isolated: environment.isolated };
  if (!environment.wasm)
    return { ...report, available: false, reason: 'this engine has no WebAssembly, or its Content-Security-Policy lacks wasm-unsafe-eval' };
  const words = {
    none: 'WASM without SIMD, several times slower than with it',
    fixed: 'WASM with SIMD',
    relaxed: 'WASM with relaxed SIMD',
  };
  return { ...report, available: true, reason: words[simd] };
}

function threadPlan(environment: Environment, possible: boolean, why: string): { used: number; reason: string } {
  if (!possible) return { used: 1, reason: why || "one thread: tfjs's own kernels serve, for want of SIMD" };
  try {
    const wanted = wantedThreads(undefined, environment);
    return { used: wanted.threads, reason: `${plural(wanted.threads)} ${wanted.why}` };
  } catch (error) {
    return { used: 1, reason: messageOf(error) };
  }
}

const plural = (threads: number): string => (threads === 1 ? 'one thread' : `${threads} threads`);

function probeCpu(): BackendReport {
  return { name: 'cpu', available: true, reason: 'plain JavaScript, about 25 seconds for one picture of 224 x 224 through VGG-16' };
}
