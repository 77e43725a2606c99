import { load, openCheckpoints, trainNetwork as train } from '../vgg/vgg.js';

/** The run's place in the page's own storage. */
const NAME = 'page';

/** The parts of a network that may learn, for a select: the classifier alone, blocks from the last pool backwards, all, or a new one. */
export function learningParts({ network, deepest }) {
  const last = Number(/\d+/.exec(deepest)[0]);
  const blocks = [last, last - 1].filter((block) => block > 1);
  return [
    { value: 'head', text: 'the classifier alone: a head, in seconds' },
    ...blocks.map((block) => ({
      value: `conv${block}`,
      text: `block ${block === last ? block : `${block} to ${last}`} and the classifier: fine-tuning`,
    })),
    { value: 'all', text: `all of ${network.name} up to ${deepest}: fine-tuning` },
    { value: 'scratch', text: `a new ${network.name}: from scratch, with random weights` },
  ];
}

/** Whether there is a run that can be continued. */
export async function canContinue() {
  return (await (await openCheckpoints(NAME)).list()).length > 0;
}

/** What to begin with: what knows nothing takes larger steps than what knows something, and more of them. */
export const usualFields = (learns) => (learns === 'scratch' ? { rate: 0.01, epochs: 40 } : { rate: 0.001, epochs: 10 });

/**
 * Fine-tunes the network that the page has loaded, or trains a new one of its convolutions, or continues the last run. In this page's
 * own thread: the library lets the page have its turn between the steps.
 */
export async function trainNetwork({ network, arch, weights, backend, preprocessing }, data, options) {
  const { learns, resume, ...rest } = options;
  const isNew = learns === 'scratch';
  // One dense layer on the mean of the last map, so that pictures may have any size.
  const begin = isNew ? { arch: { ...network.plan, top: true, convolutionalTop: false, globalPool: true, dense: [] } } : { arch, weights };
  const checkpoints = await openCheckpoints(NAME);
  if (!resume) await checkpoints.clear();
  const net = await train(begin, data, {
    ...rest,
    backend,
    preprocessing,
    // All of it, where nothing else is said.
    ...(learns.startsWith('conv') && { unfreeze: learns }),
    // Few pictures say little about a whole network's statistics; but a new one has no others.
    freezeStatistics: !isNew,
    checkpoints,
    resume,
  });
  try {
    const bytes = await net.toBytes();
    const { classes, history, best, network } = net;
    const model = await load(undefined, { weights: bytes.slice(), backend, worker: true, signal: options.signal });
    return {
      classes,
      history,
      best,
      warnings: net.stopped ? [`Stopped early: ${net.stopped}.`] : [],
      layer: network.name,
      toBytes: async () => bytes,
      predict: async (picture, more) =>
        (await model.classify(picture, { top: classes.length, ...more })).map(({ label, probability }) => ({ label, probability })),
      dispose: () => model.dispose(),
    };
  } finally {
    net.dispose();
  }
}
