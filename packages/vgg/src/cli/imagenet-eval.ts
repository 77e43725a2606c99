import { type OnProgress, VggError } from '@vgg/errors';
import type { ClassName } from '../classes/classes.js';
import type { Dataset } from '../data/dataset.js';
import type { Evaluation } from '../head/evaluate/evaluation.js';
import { calibrationOf, confusionMatrix, recalls as recallsOf, surprise } from '../head/evaluate/metrics.js';
import type { Failed } from '../head/train/features.js';
import type { Model } from '../model.js';
import { didYouMean } from '../text/suggest.js';

/**
 * Weights with their dense layers on photographs in folders named by wnid, class name or class index. The confusion matrix has the
 * classes that occur, as truth or as prediction: of ImageNet's thousand that is the part that says something.
 *
 * @throws VggError `VGG_DATASET` for a folder that is none of the classes
 */
export async function imageNetEvaluation(
  model: Model,
  { classes: folders, examples, skipped }: Dataset,
  { size, signal, onProgress }: { size?: number; signal: AbortSignal; onProgress: OnProgress },
): Promise<Evaluation> {
  const outputs = model.network.classes;
  const classes = await model.classNames();
  const truth = folders.map((folder) => outputOf(folder, classes, outputs));
  const seen: { truth: number; predicted: number; rank: number; probability: number; confidence: number }[] = [];
  const failed: Failed[] = [];
  const images = examples.map(({ image }) => image);
  for await (const item of model.classifyAll(images, { top: outputs, size, signal, onProgress })) {
    const { name, label } = examples[item.index];
    if ('error' in item) {
      failed.push({ name, error: item.error });
      continue;
    }
    const rank = item.predictions.findIndex(({ index }) => index === truth[label]);
    seen.push({
      truth: truth[label],
      predicted: item.predictions[0].index,
      rank,
      probability: item.predictions[rank].probability,
      confidence: item.predictions[0].probability,
    });
  }
  if (seen.length === 0)
    throw new VggError(
      'VGG_DATASET',
      `eval: expected pictures that can be read, received none (${failed[0].name}: ${failed[0].error.message})`,
    );
  const occurring = [...new Set([...truth, ...seen.map(({ predicted }) => predicted)])].sort((a, b) => a - b);
  const place = new Map(occurring.map((output, i) => [output, i]));
  const names = occurring.map((output) => classes?.[output]?.label ?? `class ${output}`);
  const placesOf = (key: 'truth' | 'predicted') => seen.map((each) => place.get(each[key])!);
  const matrix = confusionMatrix(placesOf('predicted'), placesOf('truth'), occurring.length);
  const counts = matrix.map((row) => row.reduce((a, b) => a + b, 0));
  const recalls = recallsOf(matrix);
  const known = recalls.filter((recall) => recall !== undefined);
  const part = (fits: (each: (typeof seen)[number]) => boolean) => seen.filter(fits).length / seen.length;
  return {
    images: seen.length,
    top1: part(({ rank }) => rank === 0),
    top5: part(({ rank }) => rank < 5),
    loss: seen.reduce((sum, { probability }) => sum + surprise(probability), 0) / seen.length,
    calibrationError: calibrationOf(
      seen.map(({ confidence }) => confidence),
      (i) => seen[i].rank === 0,
    ),
    meanRecall: known.reduce((a, b) => a + b, 0) / known.length,
    perClass: names.map((label, i) => ({ label, images: counts[i], ...(recalls[i] === undefined ? {} : { recall: recalls[i] }) })),
    confusion: { classes: names, matrix },
    failed,
    skipped,
  };
}

/** The output that a folder's name means. */
function outputOf(folder: string, classes: readonly ClassName[] | undefined, outputs: number): number {
  const plain = (text: string) =>
    text
      .toLowerCase()
      .replace(/[\s_-]+/g, ' ')
      .trim();
  const wanted = plain(folder);
  const named =
    classes?.find(({ wnid }) => wnid === folder) ??
    classes?.find(({ label }) => label.split(',').some((name) => plain(name) === wanted) || plain(label) === wanted);
  if (named) return named.index;
  if (/^\d+$/.test(folder) && Number(folder) < outputs) return Number(folder);
  const near = classes
    ? didYouMean(
        folder,
        classes.map(({ label }) => label),
      )
    : '; the names of the classes are not known here: pass --classes FILE';
  throw new VggError('VGG_DATASET', `eval: expected folders named by wnid, class name or class index, received "${folder}"${near}`);
}
