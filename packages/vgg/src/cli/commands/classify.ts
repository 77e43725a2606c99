import type { Classification } from '../../classes/classify.js';
import { command } from '../command.js';
import { checkGrid, GRID_FLAG, type Titled, writeGrid } from '../grid-file.js';
import { MODEL_FLAGS, openModel, SIZE_FLAG } from '../open-model.js';
import { exitFor, type Failure, failedText, failure, IMAGES_HELP, pictures } from '../pictures.js';
import { percent, plural, table } from '../text.js';

export const classify = command({
  name: 'classify',
  about: 'names the likeliest classes of pictures, with probabilities',
  args: 'IMAGES...',
  details: `${IMAGES_HELP} The weights must be complete: the published sets without their dense layers cannot classify; train a head instead.`,
  least: 1,
  flags: {
    ...MODEL_FLAGS,
    top: { type: 'integer', value: 'N', least: 1, most: 100_000, about: 'how many classes to name', default: 5 },
    classes: {
      type: 'string',
      value: 'FILE',
      about: 'names of the classes: a line each, a TSV, or imagenet_class_index.json',
      defaultText: "the weights' own",
    },
    grid: GRID_FLAG,
    size: SIZE_FLAG,
  },
  examples: [
    ['vgg classify photo.jpg', 'the five likeliest of the 1000 ImageNet classes'],
    ['vgg classify photos/ --weights own.safetensors --classes names.txt --top 1 --json', 'one label a picture'],
  ],
  async run(args, { weights, arch, preprocessing, offline, top, classes, grid, size }, context) {
    checkGrid('vgg classify', grid);
    const { signal, onProgress } = context;
    const start = performance.now();
    const { names, inputs, skipped } = await pictures(args, context);
    const model = await openModel({ weights, arch, preprocessing, offline, classes, classifies: true }, context);
    try {
      const images: { image: string; predictions: Classification[] }[] = [];
      const failed: Failure[] = [];
      const titled: Titled[] = [];
      for await (const item of model.classifyAll(inputs, { top, size, signal, onProgress })) {
        const image = names[item.index];
        if ('error' in item) failed.push(failure(image, item.error));
        else {
          const { predictions } = item;
          const [best] = predictions;
          images.push({ image, predictions });
          titled.push({ input: inputs[item.index], name: image, title: `${best.label} ${Math.round(100 * best.probability)} %` });
        }
      }
      const exit = exitFor(images.length, failed);
      if (grid !== undefined) await writeGrid(grid, titled, context);
      const seconds = (performance.now() - start) / 1000;
      return {
        json: { images, failed, skipped, seconds, backend: model.backend.name, weights: model.weightsName },
        text: () =>
          [
            ...images.map(({ image, predictions }) => `${image}\n${predictionTable(predictions)}\n`),
            ...(failed.length > 0 ? [failedText(failed), ''] : []),
            `${plural(images.length, 'picture')}, ${seconds.toFixed(1)} s on ${model.backend.name}`,
          ].join('\n'),
        exit,
      };
    } finally {
      model.dispose();
    }
  },
});

function predictionTable(predictions: readonly Classification[]): string {
  const rows = predictions.map(({ index, wnid, label, probability }) => [percent(probability), label, wnid ?? '', String(index)]);
  return table(['probability', 'label', 'wnid', 'index'], rows, ['probability', 'index']);
}
