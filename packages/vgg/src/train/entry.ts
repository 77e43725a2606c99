import type { DatasetInput } from '../data/dataset.js';
import type { WriteTarget } from '../io/io.js';
import type { CheckpointFolder, CheckpointFolderOptions } from './checkpoint-folder.js';
import type { TrainNetworkOptions, TrainNetworkStart } from './train-network.js';
import type { TrainedNetwork } from './trained.js';

// What trains networks is loaded when it is first asked for: a page that only looks at features never fetches it.

/**
 * Trains a network, or a part of one, on photographs in classes.
 *
 * With `arch` alone all of it is new, and learns from the first layer to the last. With `weights` the network is cut behind a pool, and a
 * linear classifier on the mean of that map is fitted to the pictures, as `trainHead` does; then the layers from `unfreeze` on learn, the
 * classifier with them. With `top: 'pretrained'` the network's own dense layers stay instead, and the last of them too where the weights name
 * the data's classes: then a run goes on. The result is a network of its own, which carries its classes and its preprocessing.
 *
 * @param data the pictures ({@link openDataset})
 * @throws VggError `VGG_INPUT` for no network to begin with, `VGG_OPTION` for an option that is unknown, wrong or without effect, before anything is
 *   read; `VGG_DATASET`, `VGG_LAYER`, `VGG_SHAPE`, `VGG_WEIGHTS_MISSING`, `VGG_MEMORY`, `VGG_TRAINING` when the loss is no
 *   number any more, `VGG_ABORTED` (a checkpoint is written first, where there is a folder for it)
 * @example
 * const net = await trainNetwork({ arch: 'cifar_vgg16_bn' }, 'cifar10/train.zip', { epochs: 15, batch: 128, validation: 'cifar10/test.zip' });
 * net.best.valAccuracy; // 0.93
 * await net.save('cifar.safetensors');
 * @example
 * const tuned = await trainNetwork({ weights: 'vgg16.h5' }, 'photos/train', { unfreeze: 'conv5', rate: 1e-4, validation: 0.2 });
 * @example
 * await trainNetwork({ weights: 'vgg16.h5' }, 'photos/train', { top: 'pretrained', unfreeze: 'fc6', rate: 1e-3 }); // fc6 and fc7 as they were, fc8 fitted
 */
export async function trainNetwork(
  start: TrainNetworkStart,
  data: DatasetInput,
  options: TrainNetworkOptions = {},
): Promise<TrainedNetwork> {
  const module = await import('./train-network.js');
  return module.trainNetwork(start, data, options);
}

/**
 * A folder for the checkpoints of one run, which {@link trainNetwork} writes and resumes from.
 *
 * @param target in Node a path, which need not be there yet; in a page a folder's handle, or the name of one in the site's own storage
 * @throws VggError `VGG_OPTION`, `VGG_OUTPUT`
 * @example
 * const checkpoints = await openCheckpoints('runs/pets', { keep: 3 });
 * const net = await trainNetwork(start, 'photos/train', { checkpoints, resume: true });
 */
export async function openCheckpoints(target: WriteTarget, options: CheckpointFolderOptions = {}): Promise<CheckpointFolder> {
  const { CheckpointFolder } = await import('./checkpoint-folder.js');
  return CheckpointFolder.open(target, options);
}
