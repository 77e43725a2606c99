// Models: weights in, features and classes out.
export { type Inspection, inspect, type LoadOptions, load } from './load.js';
export { type ClassifyOptions, type ExtractOptions, type Extracted, Model, type WeightsInfo } from './model.js';
export type { StartWorker } from './worker/start.js';
export type { Classification } from './classes/classify.js';
export type { Embedded, Embedder, EmbedOptions, Pooling } from './run/embedding.js';
export type { Placement } from './run/placement.js';
export { type FeatureMap, poolMap, stackMaps, toNCHW, toNpy, toTensor } from './run/feature-map.js';
export { convert } from './convert/convert.js';
export type { Converted, ConvertOptions, DtypeByLayer } from './convert/options.js';
export { type Comparison, type CompareOptions, compareWeights, type Difference } from './compare/compare.js';
export type { Cause } from './compare/cause.js';
export type { TapError } from './compare/compare-activations.js';

// Heads: trained on features, saved, measured.
export { SOLVERS, type Solver, type TrainHeadOptions, TRAIN_DEFAULTS, trainHead } from './head/train/train-head.js';
export type { LabelledImage, MeasuredImage, TargetInput, TargetKind } from './head/targets.js';
export type { LabelEvaluation, LabelsEvaluation, NumbersEvaluation } from './head/evaluate/evaluate-targets.js';
export { type ExtendHeadOptions, extendHead } from './head/train/extend-head.js';
export type { Distance, NeighbourRule, Votes } from './head/train/knn.js';
export { Head, loadHead, type Predicted, type Prediction, type PredictOptions } from './head/head.js';
export { type HeadInfo, inspectHead, type Training } from './head/head-file.js';
export { type Base, computeFeatures, type Failed, type FeatureOptions, type FeatureSet } from './head/train/features.js';
export type { HistoryEntry } from './head/train/history.js';
export { type Evaluation, evaluateProbabilities } from './head/evaluate/evaluation.js';
export { type CurvePoint, type CurvesOptions, trainingCurves } from './report/curves.js';
export { type EvaluationRun, evaluationReport } from './report/evaluation-report.js';
export { type TrainingRun, trainingReport } from './report/training-report.js';
export {
  averagePrecision,
  calibrationError,
  confusionMatrix,
  crossEntropy,
  mostProbable,
  recalls,
  topAccuracy,
} from './head/evaluate/metrics.js';

// Networks that are trained, from scratch or from weights that are there.
export { openCheckpoints, trainNetwork } from './train/entry.js';
export type { TrainNetworkOptions, TrainNetworkStart } from './train/train-network.js';
export type { TrainedNetwork } from './train/trained.js';
export type { Scored } from './train/evaluate.js';
export type { CheckpointFolder, CheckpointFolderOptions } from './train/checkpoint-folder.js';
export type { EpochEntry, StepEntry } from './train/history.js';
export type { OptimizerOptions, ParameterGroup } from './train/optimizer.js';
export type { ScheduleOptions } from './train/schedule.js';
export { INITIALIZERS, type InitializeOptions, type Initializer, initialWeights } from './train/initialize.js';
export { type Transplanted, type TransplantOptions, transplant } from './train/transplant.js';
// Data: pictures in classes, and the files that hold them.
export { type DataFile, type Dataset, type DatasetInput, type DatasetOptions, type Example, openDataset } from './data/dataset.js';
export type { Selection } from './data/select.js';
export { type Batch, batchCount, type BatchesOptions, batchesOf, type PictureContext } from './data/loader.js';
export { PictureCache } from './data/picture-cache.js';
export { epochOrder } from './data/order.js';
export { decodeExample, encodeExample, type ExampleInput, type Feature, type FeatureInput } from './data/tfrecord/example.js';
export { datasetExamples, type DatasetExamplesOptions } from './data/tfrecord/from-dataset.js';
export { readTfRecords, type ReadTfRecordsOptions, type TfRecord } from './data/tfrecord/read.js';
export { type TfRecords, writeTfRecords, type WriteTfRecordsOptions } from './data/tfrecord/write.js';
export type { TfRecordCompression } from './data/tfrecord/compression.js';

// The family: architectures as data, and what follows from them.
export { type Architecture, ARCHITECTURES, architectureNames, type NetworkOptions, network } from './network/architecture.js';
export type { Layer, Network, Padding, Plan, PlanInput, PlannedConv, PoolKind, Rounding } from './network/plan.js';
export { aliasesFor, type PaperTap, prefix, resolveLayer, type TapName, tapNames } from './network/layers.js';
export { compareStack, type Summary, type SummaryRow, summarize } from './network/summary.js';
export { type MemoryPlan, type MemoryPlanOptions, planMemory } from './network/memory.js';
export { networkDiagram } from './network/diagram.js';
export { formatSummary } from './network/format-summary.js';

export type { FoldOptions } from './weights/fold.js';

// Published weights and class names.
export type { SourceInput, WriteTarget } from './io/io.js';
export { PUBLISHED_SETS, type PublishedSet } from './weights/published-sets.js';
export { type ClassName, parseClasses } from './classes/parse-classes.js';

// Pictures.
export type { DecodeOptions, ImageInput, ImageInputs, PageImage } from './pictures/images.js';
export type { DeferredImage, OpenImageOptions } from './pictures/deferred.js';
export type { Skipped } from './data/photographs.js';
export type { Picture } from './pictures/picture.js';
export type { RawImage, TensorLike } from './pictures/raw.js';
export {
  PREPROCESSINGS,
  type Preprocessing,
  type PreprocessingName,
  parsePreprocessing,
  type ResizeRule,
} from './pictures/preprocessing.js';
export { deprocess, normalise, type Prepared, type PrepareOptions, prepare } from './pictures/preprocess.js';
export { FILTERS, type Filter, resize } from './pictures/resample.js';
export {
  AUGMENTATIONS,
  type Augmented,
  type AugmentOptions,
  augment,
  checkAugmentation,
  type ColourComponents,
  type ColourShift,
  IMAGENET_COLOURS,
  shifted,
} from './pictures/augment.js';
export { encodePng } from './pictures/encode-png.js';
export { type GridOptions, pictureGrid, pictureGridSvg, type TitledGridOptions } from './pictures/grid.js';
export { type ChannelStatistics, channelStatistics, colourPrincipalComponents } from './pictures/statistics.js';

// Random numbers: everything that is drawn is drawn from a seed.
export { type Random, random } from './random.js';
export { derivedSeed } from './seed.js';

// Backends and errors.
export { type BackendInfo, type BackendName, type BackendReport, type MemoryMode, probeBackends } from '@vgg/core';
export { isVggError, type OnProgress, type Progress, VggError, type VggErrorCode } from '@vgg/errors';
