// Models: weights in, features and classes out.
export { type Inspection, inspect, type LoadOptions, load } from './load.js';
export { type ClassifyOptions, type ExtractOptions, type Extracted, Model, type WeightsInfo } from './model.js';
export type { Classification } from './classify.js';
export type { Embedded, Embedder, EmbedOptions, Pooling } from './embedding.js';
export type { Placement } from './placement.js';
export { type FeatureMap, poolMap, stackMaps, toNCHW, toNpy, toTensor } from './feature-map.js';
export { type ConvertOptions, convert } from './convert.js';

// Heads: trained on features, saved, measured.
export { type TrainHeadOptions, TRAIN_DEFAULTS, trainHead } from './train/train-head.js';
export { Head, loadHead, type Predicted, type Prediction, type PredictOptions } from './head.js';
export { type HeadInfo, inspectHead, type Training } from './head-file.js';
export { type Base, computeFeatures, type Failed, type FeatureOptions, type FeatureSet } from './train/features.js';
export type { HistoryEntry } from './train/history.js';
export { type Dataset, type DatasetInput, type Example, openDataset } from './dataset.js';
export { type Evaluation, evaluateProbabilities } from './evaluate/evaluation.js';
export { calibrationError, confusionMatrix, crossEntropy, mostProbable, recalls, topAccuracy } from './evaluate/metrics.js';

// The family: architectures as data, and what follows from them.
export { type Architecture, ARCHITECTURES, architectureNames, type NetworkOptions, network } from './architecture.js';
export type { Layer, Network, Padding, Plan, PlannedConv, PoolKind, Rounding } from './plan.js';
export { aliasesFor, type PaperTap, prefix, resolveLayer, type TapName, tapNames } from './layers.js';
export { type Summary, type SummaryRow, summarize } from './summary.js';
export { formatSummary } from './format-summary.js';

// Published weights and class names.
export type { SourceInput } from './io/io.js';
export { PUBLISHED_SETS, type PublishedSet } from './published-sets.js';
export { type ClassName, parseClasses } from './parse-classes.js';

// Pictures.
export type { DecodeOptions, ImageInput, ImageInputs, PageImage } from './images.js';
export type { Skipped } from './photographs.js';
export type { Picture } from './picture.js';
export type { RawImage, TensorLike } from './pictures/raw.js';
export { PREPROCESSINGS, type Preprocessing, type PreprocessingName, parsePreprocessing, type ResizeRule } from './preprocessing.js';
export { type Prepared, type PrepareOptions, prepare } from './preprocess.js';
export { FILTERS, type Filter, resize } from './resample.js';

// Backends and errors.
export { type BackendInfo, type BackendName, type BackendReport, probeBackends } from '@vgg/core';
export { isVggError, type OnProgress, type Progress, VggError, type VggErrorCode } from '@vgg/errors';
