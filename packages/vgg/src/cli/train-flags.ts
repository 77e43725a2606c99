import { UsageError } from './exit.js';
import { NETWORK_FLAGS } from './train-network.js';

/** What only a head has. */
const HEAD = ['solver', 'hidden', 'keep', 'extend', 'neighbours', 'distance', 'pool'];
/** What only a network has that begins anew. */
const FRESH = ['dense', 'global-pool', 'dropout', 'init', 'transplant'];
/** What only weights that are there have. */
const TUNED = ['weights', 'unfreeze', 'top'];
/** What a head that is extended has of its own, or no use for. */
const EXTENDED = ['layer', 'pool', 'size', 'solver', 'hidden', 'neighbours', 'distance', 'lr', 'batch', 'preprocessing'];

interface TrainValues {
  readonly optimizer?: string | undefined;
  readonly schedule?: string | undefined;
}

/**
 * Looks for options that the training that is asked for would pass over, and for those that it lacks.
 *
 * @param given the names of the options on the command line, see {@link Context}
 * @throws UsageError
 */
export function checkTrainFlags(given: ReadonlySet<string>, { optimizer = 'sgd', schedule = 'constant' }: TrainValues): void {
  const first = (names: readonly string[]) => names.find((name) => given.has(name));
  if (given.has('extend')) {
    const other = first([...EXTENDED, ...Object.keys(NETWORK_FLAGS)]);
    if (other !== undefined)
      throw new UsageError(`vgg train --extend: expected no --${other}, since the head's own options hold; leave it out`);
  }
  const fresh = given.has('from-scratch');
  if (fresh && !given.has('arch')) throw new UsageError('vgg train --from-scratch: expected --arch, such as cifar_vgg16_bn, received none');
  const both = fresh ? first(TUNED) : undefined;
  if (both !== undefined) throw new UsageError(`vgg train: expected --from-scratch or --${both}, received both`);
  if (fresh && given.has('layer')) throw new UsageError('vgg train: expected --from-scratch or --layer, received both; leave one out');
  const isNetwork = fresh || given.has('unfreeze');
  if (!isNetwork && given.has('top')) throw new UsageError('vgg train --top: expected --unfreeze, such as conv1, received none');
  const lacksFresh = fresh ? undefined : first(FRESH);
  if (lacksFresh !== undefined)
    throw new UsageError(`vgg train --${lacksFresh}: expected --from-scratch, received none; only a new network takes it`);
  const lacksNetwork = isNetwork ? undefined : first(Object.keys(NETWORK_FLAGS));
  if (lacksNetwork !== undefined) {
    throw new UsageError(
      `vgg train --${lacksNetwork}: expected --unfreeze, such as conv5, or --from-scratch, received neither; a head does not take it`,
    );
  }
  const ofHead = isNetwork ? first(HEAD) : undefined;
  if (ofHead !== undefined) {
    const network = fresh ? '--from-scratch' : '--unfreeze';
    throw new UsageError(`vgg train --${ofHead}: expected no ${network}, received it; only a head takes --${ofHead}, so leave one out`);
  }
  const needs = [
    ['momentum', '--optimizer sgd', optimizer === 'sgd', optimizer],
    ['nesterov', '--optimizer sgd', optimizer === 'sgd', optimizer],
    ['step-epochs', '--schedule step', schedule === 'step', schedule],
    ['resume', '--checkpoints', given.has('checkpoints'), 'none'],
    ['checkpoint-every', '--checkpoints', given.has('checkpoints'), 'none'],
  ] as const;
  for (const [name, needed, isThere, received] of needs) {
    if (given.has(name) && !isThere) throw new UsageError(`vgg train --${name}: expected ${needed}, received ${received}`);
  }
}
