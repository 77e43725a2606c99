export {
  type BackendInfo,
  type BackendName,
  type BackendReport,
  probeBackends,
} from '@vgg/core';
export { isVggError, type OnProgress, type Progress, VggError, type VggErrorCode } from '@vgg/errors';
export { ARCHITECTURES, architectureNames, type NetworkOptions, network } from './architecture.js';
export { type ClassName, parseClasses } from './classes.js';
export type { Classification } from './classify.js';
export { type ConvertOptions, convert } from './convert.js';
export { type Dataset, type DatasetInput, type Example, openDataset } from './dataset.js';
export type { Embedded, Embedder, EmbedOptions, Pooling } from './embedding.js';
export { type Evaluation, evaluateProbabilities } from './evaluate/evaluation.js';
export { calibrationError, confusionMatrix, crossEntropy, mostProbable, recalls, topAccuracy } from './evaluate/metrics.js';
export { type FeatureMap, poolMap, stackMaps, toNCHW, toNpy, toTensor } from './feature-map.js';
export { formatSummary } from './format-summary.js';
export { Head, loadHead, type Predicted, type Prediction, type PredictOptions } from './head.js';
export { type HeadInfo, inspectHead } from './head-file.js';
export type { DecodeOptions, ImageInput, ImageInputs } from './images.js';
export { aliasesFor, prefix, resolveLayer, tapNames } from './layers.js';
export { type Inspection, inspect, type LoadOptions, load } from './load.js';
export { type ClassifyOptions, type Extracted, type ExtractOptions, Model, type WeightsInfo } from './model.js';
export type { Picture } from './picture.js';
export type { Placement } from './placement.js';
export type { Layer, Network, Plan } from './plan.js';
export { prepare } from './preprocess.js';
export * from './preprocessing.js';
export { type Filter, resize } from './resample.js';
export { summarize } from './summary.js';
export { computeFeatures, type FeatureOptions, type FeatureSet } from './train/features.js';
export type { HistoryEntry } from './train/history.js';
export { TRAIN_DEFAULTS, type TrainHeadOptions, trainHead } from './train/train-head.js';
export { PUBLISHED_SETS, type PublishedSet } from './weights.js';
