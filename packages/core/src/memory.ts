import { VggError } from '@vgg/errors';
import type { Environment } from './environment.js';
import { MEMORY_MODES, type MemoryMode } from './kernels/wasm/conv3x3-memory.js';

/** A choice of {@link MemoryMode}, and who made it. */
export interface MemoryChoice {
  memory: MemoryMode;
  /** False for the default. */
  asked: boolean;
  why: string;
}

/**
 * How much memory the wasm backend may take to be fast: the caller's wish, else that of the environment (`VGG_MEMORY`, `?memory=`), else
 * `fast`.
 *
 * @throws VggError `VGG_OPTION` when a wish is none of `fast`, `balanced` and `small`
 */
export function wantedMemory(asked: string | undefined, environment: Environment): MemoryChoice {
  const { memory: outside } = environment;
  const wish = asked ?? outside;
  if (wish === undefined) return { memory: 'fast', asked: false, why: 'the default' };
  const where = environment.server ? 'the environment variable VGG_MEMORY' : "the page's URL parameter memory";
  const memory = MEMORY_MODES.find((mode) => mode === wish);
  if (memory) return { memory, asked: true, why: asked === undefined ? `asked for by ${where}` : 'asked for' };
  throw new VggError(
    'VGG_OPTION',
    `${asked === undefined ? where : 'openBackend: memory'}: expected fast, balanced or small, received ${JSON.stringify(wish)}`,
  );
}
