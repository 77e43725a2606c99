import { isVggError, type VggError } from '@vgg/errors';
import { type FeatureMap, poolMap } from '../../run/feature-map.js';
import { command } from '../command.js';
import { layerOf, MODEL_FLAGS, openModel, POOL_FLAG, SIZE_FLAG } from '../open-model.js';
import { exitFor, type Failure, failedText, failure, IMAGES_HELP, pictures } from '../pictures.js';
import { brief, plural, table } from '../text.js';
import { checkOut, featureWriter } from '../writers/index.js';
import type { FeatureWriter, Output, Row } from '../writers/writer.js';

/** Values kept for the JSON document before a hint at `--out` is worth a line: about 200 MB of text. */
const MANY = 2e7;

export const extract = command({
  name: 'extract',
  about: 'computes the features of pictures at one or more layers, in one pass that stops at the deepest',
  args: 'IMAGES...',
  details: `${IMAGES_HELP} Pictures are prepared as the weights want them. A picture that fails is listed, and the others are done. Without --out, features go into the JSON document, and for people there is a table of their statistics.`,
  least: 1,
  flags: {
    ...MODEL_FLAGS,
    layer: {
      type: 'list',
      value: 'L',
      about: 'layers, by the names of the paper, Keras, torchvision or timm',
      defaultText: 'the deepest pool that the weights reach',
    },
    pool: { ...POOL_FLAG, default: 'none' },
    size: SIZE_FLAG,
    out: {
      type: 'string',
      short: 'o',
      value: 'FILE',
      about: 'write .npy (a file a layer), .safetensors or .jsonl (a line a picture and layer)',
    },
  },
  examples: [
    ['vgg extract photo.jpg --weights vgg16.h5 --layer relu4_3', 'statistics of one feature map'],
    ['vgg extract photos/ --layer pool3,pool5 --pool average --out codes.npy', 'codes.pool3.npy and codes.pool5.npy, a row a picture'],
  ],
  async run(args, { weights, arch, preprocessing, offline, layer, pool, size, out }, context) {
    const { signal, onProgress, warn } = context;
    if (out !== undefined) checkOut(out);
    const start = performance.now();
    const { names, inputs, skipped } = await pictures(args, context);
    const model = await openModel({ weights, arch, preprocessing, offline, layers: layer }, context);
    let writer: FeatureWriter | undefined;
    try {
      const layers = layer === undefined ? [layerOf(model, undefined, context)] : [...new Set(layer.map((name) => model.resolve(name)))];
      const about = { weights: model.weightsName, architecture: model.network.name, pooling: pool };
      writer = out === undefined ? undefined : featureWriter(out, layers, about);
      const features: Row[] = [];
      const failed: Failure[] = [];
      let images = 0;
      let kept = 0;
      let outputs: Output[] = [];
      for await (const item of model.extractAll(inputs, layers, { size, signal, onProgress })) {
        const image = names[item.index];
        try {
          if ('error' in item) throw item.error;
          const rows = layers.map((name) => rowOf(image, item.features[name], pool));
          if (writer) await writer.write(rows);
          else features.push(...rows);
          images++;
          kept += writer ? 0 : rows.reduce((sum, row) => sum + row.data.length, 0);
          if (kept > MANY && context.options.json) {
            warn(`the JSON document holds ${plural(kept, 'value')} so far; --out FILE keeps memory small`);
            kept = Number.NEGATIVE_INFINITY;
          }
        } catch (error) {
          if (!isVggError(error) || ['VGG_ABORTED', 'VGG_OUTPUT', 'VGG_MEMORY', 'VGG_BACKEND', 'VGG_WEIGHTS_MISSING'].includes(error.code))
            throw error;
          failed.push(failure(image, error as VggError));
        }
      }
      const exit = exitFor(images, failed);
      if (writer) outputs = await writer.finish();
      const seconds = (performance.now() - start) / 1000;
      const { backend } = model;
      const shown = writer ? outputs : layers.map((name) => ({ layer: name, shape: features.find((row) => row.layer === name)!.shape }));
      return {
        json: {
          outputs: shown,
          images,
          failed,
          skipped,
          seconds,
          backend: backend.name,
          weights: model.weightsName,
          ...(writer ? {} : { features }),
        },
        text: () =>
          [
            out !== undefined
              ? table(
                  ['layer', 'shape', 'file'],
                  outputs.map((each) => [each.layer, `[${each.shape.join(', ')}]`, each.file]),
                )
              : statistics(features),
            ...(failed.length > 0 ? ['', failedText(failed)] : []),
            '',
            `${plural(images, 'picture')}${failed.length > 0 ? `, ${failed.length} failed` : ''}, ${seconds.toFixed(1)} s on ${backend.name}`,
          ].join('\n'),
        exit,
      };
    } finally {
      await writer?.abandon();
      model.dispose();
    }
  },
});

/** Pooled maps are vectors [C], whole ones [H, W, C]. */
function rowOf(image: string, map: FeatureMap, pool: 'average' | 'max' | 'none'): Row {
  if (pool === 'none') return { image, layer: map.layer, shape: map.shape.slice(1), data: map.data };
  const data = poolMap(map, pool);
  return { image, layer: map.layer, shape: [data.length], data };
}

function statistics(rows: readonly Row[]): string {
  const lines = rows.map(({ image, layer, shape, data }) => {
    let [least, most, sum, squares, zeros] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, 0];
    for (const value of data) {
      least = Math.min(least, value);
      most = Math.max(most, value);
      sum += value;
      squares += value * value;
      if (value === 0) zeros++;
    }
    const mean = sum / data.length;
    // Rounding can take the variance of equal values below zero.
    const deviation = Math.sqrt(Math.max(0, squares / data.length - mean * mean));
    return [
      image,
      layer,
      shape.join('x'),
      ...[least, mean, most, deviation].map((value) => brief(value)),
      `${((100 * zeros) / data.length).toFixed(1)} %`,
    ];
  });
  return table(['image', 'layer', 'shape', 'min', 'mean', 'max', 'sd', 'zeros'], lines, ['min', 'mean', 'max', 'sd', 'zeros']);
}
