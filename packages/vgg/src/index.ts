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
export type { EmbedOptions, Embedded, Embedder, Pooling } from './embedding.js';
export { type FeatureMap, poolMap, stackMaps, toNCHW, toNpy, toTensor } from './feature-map.js';
export { formatSummary } from './format-summary.js';
export { type DecodeOptions, type ImageInput, type ImageInputs } from './images.js';
export { aliasesFor, prefix, resolveLayer, tapNames } from './layers.js';
export { type Inspection, inspect, type LoadOptions, load } from './load.js';
export { type ClassifyOptions, type ExtractOptions, type Extracted, Model, type WeightsInfo } from './model.js';
export type { Picture } from './picture.js';
export type { Placement } from './placement.js';
export type { Layer, Network, Plan } from './plan.js';
export * from './preprocessing.js';
export { prepare } from './preprocess.js';
export { type Filter, resize } from './resample.js';
export { summarize } from './summary.js';
