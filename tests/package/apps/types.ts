// Compiled, not run: the declared types are there, and a wrong use is an error.
import { type FeatureMap, isVggError, load, type Model, network, summarize, VggError } from 'vgg';

export async function use(file: string): Promise<number> {
  const model: Model = await load('vgg16', { weights: file, backend: 'wasm', layers: ['pool5'] });
  const map: FeatureMap = await model.extract(file, 'relu5_3');
  const both = await model.extract([file, file], ['relu4_3', 'pool5']);
  const values: Float32Array = both.pool5.data;
  const best = await model.classify(file, { top: 5 });
  const probability: number = best[0]?.probability ?? 0;
  // @ts-expect-error a number is no layer
  await model.extract(file, 5);
  // @ts-expect-error there is no such backend
  await load('vgg16', { backend: 'cuda' });
  const error: unknown = new VggError('VGG_INPUT', 'x');
  if (isVggError(error, 'VGG_INPUT')) model.dispose();
  return summarize(network('vgg16')).parameters + values.length + map.data.length + probability;
}
