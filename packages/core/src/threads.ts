import { VggError } from '@vgg/errors';
import type { Environment } from './environment.js';

/** More than this bring little for pictures of 224 x 224: a layer has about so many parts worth a thread. */
const DEFAULT_MOST = 8;
/** A typing error should not start a thousand threads. */
const MOST = 64;

const ISOLATE =
  'the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp isolate it, and then memory may be shared';

/** Whether threads can share WASM's memory here, and if not, why. */
export function threadsPossible(environment: Environment): { possible: boolean; why: string } {
  if (environment.sharedArrayBuffer && environment.isolated) return { possible: true, why: '' };
  if (environment.server) return { possible: false, why: 'one thread: this engine has no SharedArrayBuffer' };
  return { possible: false, why: `one thread: this page is not isolated; ${ISOLATE}` };
}

/**
 * How many threads the wasm backend is to have: the caller's wish, else that of the environment (`VGG_THREADS`, `?threads=`), else one
 * for each core, 8 at most.
 *
 * @throws VggError `VGG_OPTION` when a wish is no whole number from 1 to 64
 */
export function wantedThreads(asked: number | undefined, environment: Environment): { threads: number; why: string } {
  const { threads: outside, cores } = environment;
  if (asked === undefined && outside === undefined) {
    const threads = Math.max(1, Math.min(cores, DEFAULT_MOST));
    return { threads, why: `for ${cores} ${cores === 1 ? 'core' : 'cores'}` };
  }
  const where = environment.server ? 'the environment variable VGG_THREADS' : "the page's URL parameter threads";
  const threads = asked ?? Number(outside);
  if (Number.isInteger(threads) && threads >= 1 && threads <= MOST)
    return { threads, why: asked === undefined ? `asked for by ${where}` : 'asked for' };
  throw new VggError(
    'VGG_OPTION',
    `${asked === undefined ? where : 'openBackend: threads'}: expected a whole number from 1 to ${MOST}, received ${asked ?? JSON.stringify(outside)}`,
  );
}
