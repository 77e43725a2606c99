import type { Predicted, Prediction } from '../../head/head.js';
import type { TargetKind } from '../../head/targets.js';
import { targetKind } from '../../head/train/settings.js';
import { command } from '../command.js';
import { UsageError } from '../exit.js';
import { checkGrid, GRID_FLAG, type Titled, writeGrid } from '../grid-file.js';
import { openHead } from '../head-command.js';
import { MODEL_FLAGS } from '../open-model.js';
import { exitFor, type Failure, failedText, failure, IMAGES_HELP, pictures } from '../pictures.js';
import { percent, plural, table } from '../text.js';

export const predict = command({
  name: 'predict',
  about: 'names the classes of pictures, or tells their numbers, by a head that vgg train made',
  args: 'IMAGES...',
  details: `${IMAGES_HELP} The head knows its layer, pooling and size, and refuses weights other than those it was trained on. Of a multi-label head all labels from probability 0.5 on are shown.`,
  least: 1,
  flags: {
    head: { type: 'string', value: 'HEAD', about: 'the head file (required)' },
    weights: { ...MODEL_FLAGS.weights, defaultText: 'the published set that the head names' },
    arch: { ...MODEL_FLAGS.arch, defaultText: 'what the weights are of' },
    offline: MODEL_FLAGS.offline,
    grid: GRID_FLAG,
    top: { type: 'integer', value: 'N', least: 1, about: 'how many classes to name', defaultText: 'all in JSON, 1 for people' },
  },
  examples: [
    ['vgg predict photo.jpg --head insects.head', 'what is it?'],
    ['vgg predict photos/ --head insects.head --grid named.svg', 'the pictures side by side, each with its class'],
    ['cat photo.jpg | vgg predict - --head insects.head --weights vgg16.h5 --json', 'from standard input'],
  ],
  async run(args, { head: file, top, grid, ...values }, context) {
    if (file === undefined) throw new UsageError('vgg predict: expected --head HEAD, received none; vgg train makes one');
    checkGrid('vgg predict', grid);
    const { signal, onProgress } = context;
    const start = performance.now();
    const { names, inputs, skipped } = await pictures(args, context);
    const { head, model } = await openHead({ head: file, ...values }, context);
    try {
      const kind = targetKind(head.info.training.solver);
      const predictions: Told[] = [];
      const failed: Failure[] = [];
      const titled: Titled[] = [];
      for await (const item of head.predictAll(inputs, { top, signal, onProgress })) {
        const image = names[item.index];
        if ('error' in item) failed.push(failure(image, item.error));
        else {
          const what = { image, ...told(item, kind) };
          predictions.push(what);
          titled.push({ input: inputs[item.index], name: image, title: titleOf(what) });
        }
      }
      const exit = exitFor(predictions.length, failed);
      if (grid !== undefined) await writeGrid(grid, titled, context);
      const seconds = (performance.now() - start) / 1000;
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
            kind === 'number' ? numberTable(predictions) : classTable(predictions, kind, top),
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

/** What a head tells of a picture: its classes or its number, and of several labels those it has. */
interface Told {
  readonly image: string;
  readonly label?: string;
  readonly probability?: number;
  readonly labels?: string[];
  readonly value?: number;
  readonly predictions?: Prediction[];
}

function told(item: Exclude<Predicted, { error: unknown }>, kind: TargetKind | undefined): Omit<Told, 'image'> {
  const { predictions, value } = item;
  if (kind === 'number') return { value: value! };
  if (kind === 'labels') return { labels: likely(predictions).map(({ label }) => label), predictions };
  const [{ label, probability }] = predictions;
  return { label, probability, predictions };
}

/** `red 98 %`; several labels, or a number. */
function titleOf({ label, probability, labels, value }: Told): string {
  if (value !== undefined) return value.toPrecision(4);
  return labels ? labels.join(', ') || '(none)' : `${label} ${Math.round(100 * probability!)} %`;
}

const likely = (predictions: readonly Prediction[]) => predictions.filter(({ probability }) => probability >= 0.5);

function classTable(all: readonly Told[], kind: TargetKind | undefined, top: number | undefined): string {
  const rows = all.flatMap(({ image, predictions = [] }) => {
    const shown = kind === 'labels' && top === undefined ? likely(predictions) : predictions.slice(0, top ?? 1);
    if (shown.length === 0) return [[image, '(none)', '']];
    return shown.map(({ label, probability }, i) => [i === 0 ? image : '', label, percent(probability)]);
  });
  return table(['image', 'class', 'probability'], rows, ['probability']);
}

function numberTable(all: readonly Told[]): string {
  const rows = all.map(({ image, value }) => [image, value!.toPrecision(5)]);
  return table(['image', 'value'], rows, ['value']);
}
