import type { Prediction } from '../../head/head.js';
import { command } from '../command.js';
import { UsageError } from '../exit.js';
import { openHead } from '../head-command.js';
import { MODEL_FLAGS } from '../open-model.js';
import { exitFor, type Failure, failedText, failure, IMAGES_HELP, pictures } from '../pictures.js';
import { percent, plural, table } from '../text.js';

export const predict = command({
  name: 'predict',
  about: 'names the classes of pictures by a head that vgg train made',
  args: 'IMAGES...',
  details: `${IMAGES_HELP} The head knows its layer, pooling and size, and refuses weights other than those it was trained on.`,
  least: 1,
  flags: {
    head: { type: 'string', value: 'HEAD', about: 'the head file (required)' },
    weights: { ...MODEL_FLAGS.weights, defaultText: 'the published set that the head names' },
    arch: { ...MODEL_FLAGS.arch, defaultText: 'what the weights are of' },
    offline: MODEL_FLAGS.offline,
    top: { type: 'integer', value: 'N', least: 1, about: 'how many classes to name', defaultText: 'all in JSON, 1 for people' },
  },
  examples: [
    ['vgg predict photo.jpg --head insects.head', 'what is it?'],
    ['cat photo.jpg | vgg predict - --head insects.head --weights vgg16.h5 --json', 'from standard input'],
  ],
  async run(args, { head: file, top, ...values }, context) {
    if (file === undefined) throw new UsageError('vgg predict: expected --head HEAD, received none; vgg train makes one');
    const { signal, onProgress } = context;
    const start = performance.now();
    const { names, inputs, skipped } = await pictures(args, context);
    const { head, model } = await openHead({ head: file, ...values }, context);
    try {
      const predictions: { image: string; label: string; probability: number; predictions: Prediction[] }[] = [];
      const failed: Failure[] = [];
      for await (const item of head.predictAll(inputs, { top, signal, onProgress })) {
        const image = names[item.index];
        if ('error' in item) failed.push(failure(image, item.error));
        else
          predictions.push({
            image,
            label: item.predictions[0].label,
            probability: item.predictions[0].probability,
            predictions: item.predictions,
          });
      }
      const exit = exitFor(predictions.length, failed);
      const seconds = (performance.now() - start) / 1000;
      const rows = () =>
        predictions.flatMap(({ image, predictions: all }) =>
          all.slice(0, top ?? 1).map(({ label, probability }, i) => [i === 0 ? image : '', label, percent(probability)]),
        );
      return {
        json: {
          predictions,
          images: predictions.length,
          failed,
          skipped,
          seconds,
          head: file,
          classes: head.classes,
          backend: model.backend.name,
        },
        text: () =>
          [
            table(['image', 'class', 'probability'], rows(), ['probability']),
            ...(failed.length > 0 ? ['', failedText(failed)] : []),
            '',
            `${plural(predictions.length, 'picture')}, ${seconds.toFixed(1)} s on ${model.backend.name}`,
          ].join('\n'),
        exit,
      };
    } finally {
      head.dispose();
      model.dispose();
    }
  },
});
