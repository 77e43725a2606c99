import { kindOf, throwIfAborted, VggError } from '@vgg/errors';
import type { LoadOptions } from '../load.js';
import type { Model } from '../model.js';
import type { PlanInput } from '../network/plan.js';
import { Connection } from './connection.js';
import type { Loaded } from './messages.js';
import { WorkerModel } from './worker-model.js';

/** As `load`, with the engine in a worker of its own. */
export async function loadInWorker(arch: string | PlanInput | undefined, options: LoadOptions): Promise<Model> {
  const { worker = true, onWarning, signal, onProgress, ...rest } = options;
  throwIfAborted(signal, 'load');
  const sent = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, portable(name, value)]));
  const connection = new Connection(worker, onWarning);
  try {
    const page = { base: globalThis.document?.baseURI ?? location.href, search: location.search };
    const loaded: Loaded = await connection.call('load', { args: [arch], options: { ...sent, signal, onProgress }, page });
    // The class has all that a model has; only its private parts are others.
    return new WorkerModel(connection, loaded) as Pick<Model, keyof Model> as Model;
  } catch (error) {
    connection.end(new VggError('VGG_OPTION', 'model: it could not be loaded; load it again'));
    throw error;
  }
}

/** An option as it can be cloned: addresses as text, lists of files as arrays, of a view of a larger buffer only its part. */
function portable(name: string, value: unknown): unknown {
  if (value instanceof URL) return value.href;
  if (ArrayBuffer.isView(value) && value.byteLength < value.buffer.byteLength) return (value as Uint8Array).slice();
  if (
    typeof value === 'function' ||
    (typeof value === 'object' && value !== null && typeof (value as { read?: unknown }).read === 'function')
  ) {
    throw new VggError(
      'VGG_OPTION',
      `load: expected ${name} as data that can be sent to a worker, received ${kindOf(value)} with code of its own; leave it out, or load without worker`,
    );
  }
  const isData = typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value);
  return isData || !(Symbol.iterator in value) ? value : [...(value as Iterable<unknown>)];
}
