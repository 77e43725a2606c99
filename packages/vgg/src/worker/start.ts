import { VggError } from '@vgg/errors';
import { io } from '#io';
import type { Global } from '../pictures/images.js';
import { scriptAddress } from './address.js';

/** Starts the worker of a model, whose script imports the module `vgg/worker`. */
export type StartWorker = () => Global<'Worker'>;

/** A worker, and what is to be done once its script runs. */
interface Started {
  readonly worker: Worker;
  release(): void;
}

/**
 * Starts the worker's script: the caller's own way, or where its address is known from a `blob:` script of one line, which takes over the
 * page's headers and may import from another origin.
 *
 * @throws VggError `VGG_OPTION` in Node, and where the address is not known
 */
export function startWorker(start: boolean | StartWorker): Started {
  if (io.platform === 'node') {
    throw new VggError('VGG_OPTION', 'load: expected worker in a page only, received it in Node; leave it out');
  }
  if (typeof start === 'function') return { worker: start() as Worker, release() {} };
  const address = scriptAddress();
  if (address === undefined) {
    throw new VggError(
      'VGG_OPTION',
      "load: expected as worker a function that starts one, received true, and in an application's own bundle the address of the script is not known; pass worker: () => new Worker(new URL('./engine.js', import.meta.url), { type: 'module' }), where engine.js is import 'vgg/worker'",
    );
  }
  const text = `import(${JSON.stringify(address)}).catch((error) => postMessage({ type: 'failed', message: String(error) }));`;
  const url = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  return { worker: new Worker(url, { type: 'module', name: 'vgg' }), release: () => URL.revokeObjectURL(url) };
}
