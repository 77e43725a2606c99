import { isVggError, VggError } from '@vgg/errors';
import { type Head, loadHead } from '../head/head.js';
import { inspectHead } from '../head/head-file.js';
import type { Model } from '../model.js';
import { findArchitecture } from '../network/architecture.js';
import type { Embedder } from '../run/embedding.js';
import { findPublished } from '../weights/published.js';
import type { Context } from './command.js';
import { openModel } from './open-model.js';
import { type Failure, failure } from './pictures.js';

/** Options that find a head's model. */
export interface HeadOptions {
  head: string;
  weights?: string | undefined;
  arch?: string | undefined;
  offline?: boolean | undefined;
}

/**
 * The head in a file with the model that it stands on; the caller disposes of both. Without `--weights` the head says which published
 * set it was trained on, or the published default of its network is tried: its numbers must be the same.
 */
export async function openHead(
  { head: file, weights, arch, offline }: HeadOptions,
  context: Context,
): Promise<{ head: Head; model: Model }> {
  const { signal } = context;
  const { base } = await inspectHead(file, { signal });
  const named = findArchitecture(base.network) ? base.network : undefined;
  const set = findPublished(base.weights);
  const layers = [base.layer];
  if (weights === undefined && !set && !named) {
    throw new VggError(
      'VGG_WEIGHTS_MISSING',
      `${file}: the head stands on ${base.weights}, which is not published; pass that file with --weights`,
    );
  }
  const open = (arch?: string) => openModel({ weights: weights ?? set?.id, arch, offline, layers }, context);
  const model = await open(arch ?? (weights === undefined ? named : undefined)).catch((error: unknown) => {
    // Shapes alone do not always show the network; the head knows it.
    if (arch === undefined && named && isVggError(error, 'VGG_ARCHITECTURE')) return open(named);
    throw error;
  });
  try {
    return { head: await loadHead(file, model, { signal }), model };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** The same model, noting the pictures that fail on their way. */
export function noting(model: Embedder, failed: Failure[]): Embedder {
  const { network, preprocessing, weightsName, deepest } = model;
  return {
    network,
    preprocessing,
    weightsName,
    deepest,
    fingerprint: (layer, options) => model.fingerprint(layer, options),
    resolve: (layer) => model.resolve(layer),
    async *embedAll(images, options) {
      for await (const item of model.embedAll(images, options)) {
        if ('error' in item) failed.push(failure(item.name, item.error));
        yield item;
      }
    },
  };
}
