import { messageOf } from '@vgg/errors';
import type { GpuLike } from '../../environment.js';

interface NodeWebGpu {
  create(options: string[]): GpuLike;
  globals: Record<string, unknown>;
}

/** Where Linux shows graphics devices: DRM, NVIDIA, WSL, Qualcomm. */
const LINUX_DEVICES = ['/dev/dri', '/dev/nvidiactl', '/dev/nvidia0', '/dev/dxg', '/dev/kgsl-3d0'];

interface NodeProcess {
  platform: string;
  env: Record<string, string | undefined>;
  /** Node 20.16 and later. */
  getBuiltinModule?(name: 'node:fs'): { existsSync(path: string): boolean };
}

let found: Promise<GpuLike | string> | undefined;

/**
 * WebGPU for Node through the optional package `webgpu` (Dawn). Sets `navigator.gpu` and the `GPU...` constants where they are
 * missing, because tfjs's backend reads them as globals; answers with a sentence where the package is not installed.
 */
export function nodeGpu(): Promise<GpuLike | string> {
  found ??= load();
  return found;
}

/** Looked at before Dawn is loaded, which takes its time and fills the terminal with the driver loader's own warnings. */
function missingDevice(): string | undefined {
  const { platform, env, getBuiltinModule } = (globalThis as unknown as { process: NodeProcess }).process;
  const isNamed = env.VK_ICD_FILENAMES !== undefined || env.VK_DRIVER_FILES !== undefined;
  if (platform !== 'linux' || isNamed || !getBuiltinModule) return undefined;
  const { existsSync } = getBuiltinModule('node:fs');
  if (LINUX_DEVICES.some((path) => existsSync(path))) return undefined;
  return 'this machine shows no graphics device (a software one is used where VK_ICD_FILENAMES names its driver)';
}

async function load(): Promise<GpuLike | string> {
  const missing = missingDevice();
  if (missing) return missing;
  // Held in a variable, so that no bundler tries to put 130 MB of native code into a page.
  const name = 'webgpu';
  let dawn: NodeWebGpu;
  try {
    dawn = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as NodeWebGpu;
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND')
      return 'the optional package webgpu is not installed (npm install webgpu)';
    return `the optional package webgpu does not load here: ${messageOf(error)}`;
  }
  const gpu = dawn.create([]);
  for (const [key, value] of Object.entries(dawn.globals)) {
    if (!(key in globalThis)) Object.defineProperty(globalThis, key, { value, configurable: true, writable: true });
  }
  const navigator = (globalThis as { navigator?: { gpu?: GpuLike } }).navigator;
  if (!navigator) Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true, writable: true });
  else if (!navigator.gpu) Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true });
  return gpu;
}
