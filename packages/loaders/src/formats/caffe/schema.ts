/**
 * The part of Caffe's schema (BVLC/caffe, src/caffe/proto/caffe.proto) that tells of networks such as VGG: field numbers for the binary
 * form, names for the text. Blobs, which hold the weights, are read apart (blobs.ts).
 */

/** What a field holds: a plain value, an enumeration (its words by their numbers), or a message. */
export type Kind = 'int' | 'bool' | 'float' | 'text' | readonly string[] | { readonly message: Schema };
type Row = readonly [number: number, name: string, kind: Kind];
export type Schema = readonly Row[];

const SHAPE: Schema = [[1, 'dim', 'int']];
const RULE: Schema = [
  [1, 'phase', ['TRAIN', 'TEST']],
  [2, 'min_level', 'int'],
  [3, 'max_level', 'int'],
  [4, 'stage', 'text'],
  [5, 'not_stage', 'text'],
];
const CONVOLUTION: Schema = [
  [1, 'num_output', 'int'],
  [2, 'bias_term', 'bool'],
  [3, 'pad', 'int'],
  [4, 'kernel_size', 'int'],
  [5, 'group', 'int'],
  [6, 'stride', 'int'],
  [9, 'pad_h', 'int'],
  [10, 'pad_w', 'int'],
  [11, 'kernel_h', 'int'],
  [12, 'kernel_w', 'int'],
  [13, 'stride_h', 'int'],
  [14, 'stride_w', 'int'],
  [16, 'axis', 'int'],
  [18, 'dilation', 'int'],
];
const INNER_PRODUCT: Schema = [
  [1, 'num_output', 'int'],
  [2, 'bias_term', 'bool'],
  [5, 'axis', 'int'],
  [6, 'transpose', 'bool'],
];
const LRN: Schema = [
  [1, 'local_size', 'int'],
  [2, 'alpha', 'float'],
  [3, 'beta', 'float'],
  [4, 'norm_region', ['ACROSS_CHANNELS', 'WITHIN_CHANNEL']],
  [5, 'k', 'float'],
];
const POOLING: Schema = [
  [1, 'pool', ['MAX', 'AVE', 'STOCHASTIC']],
  [2, 'kernel_size', 'int'],
  [3, 'stride', 'int'],
  [4, 'pad', 'int'],
  [5, 'kernel_h', 'int'],
  [6, 'kernel_w', 'int'],
  [7, 'stride_h', 'int'],
  [8, 'stride_w', 'int'],
  [9, 'pad_h', 'int'],
  [10, 'pad_w', 'int'],
  [12, 'global_pooling', 'bool'],
  [13, 'round_mode', ['CEIL', 'FLOOR']],
];
const DROPOUT: Schema = [[1, 'dropout_ratio', 'float']];
const RELU: Schema = [[1, 'negative_slope', 'float']];
const SIZES: Schema = [
  [2, 'channels', 'int'],
  [3, 'height', 'int'],
  [4, 'width', 'int'],
];
const CROP: Schema = [[5, 'crop_size', 'int']];
const IMAGES: Schema = [
  [5, 'crop_size', 'int'],
  [9, 'new_height', 'int'],
  [10, 'new_width', 'int'],
];
const TRANSFORM: Schema = [[3, 'crop_size', 'int']];
const DUMMY: Schema = [
  [3, 'channels', 'int'],
  [4, 'height', 'int'],
  [5, 'width', 'int'],
  [6, 'shape', { message: SHAPE }],
];

/** A layer as Caffe writes it since 2014, in `layer` (field 100). */
export const LAYER: Schema = [
  [1, 'name', 'text'],
  [2, 'type', 'text'],
  [3, 'bottom', 'text'],
  [4, 'top', 'text'],
  [8, 'include', { message: RULE }],
  [9, 'exclude', { message: RULE }],
  [100, 'transform_param', { message: TRANSFORM }],
  [106, 'convolution_param', { message: CONVOLUTION }],
  [107, 'data_param', { message: CROP }],
  [108, 'dropout_param', { message: DROPOUT }],
  [109, 'dummy_data_param', { message: DUMMY }],
  [115, 'image_data_param', { message: IMAGES }],
  [117, 'inner_product_param', { message: INNER_PRODUCT }],
  [118, 'lrn_param', { message: LRN }],
  [119, 'memory_data_param', { message: SIZES }],
  [121, 'pooling_param', { message: POOLING }],
  [123, 'relu_param', { message: RELU }],
  [139, 'batch_norm_param', { message: [[3, 'eps', 'float']] }],
  [142, 'scale_param', { message: [[4, 'bias_term', 'bool']] }],
  [143, 'input_param', { message: [[1, 'shape', { message: SHAPE }]] }],
];
/** Where the weights of such a layer are. */
export const LAYER_BLOBS = 7;

/** The types of layers by their numbers in the old form; the text form has the same words in capitals with underscores. */
export const OLD_TYPES = [
  ...['None', 'Accuracy', 'BNLL', 'Concat', 'Convolution', 'Data', 'Dropout', 'EuclideanLoss', 'Flatten', 'HDF5Data'],
  ...['HDF5Output', 'Im2col', 'ImageData', 'InfogainLoss', 'InnerProduct', 'LRN', 'MultinomialLogisticLoss', 'Pooling', 'ReLU', 'Sigmoid'],
  ...[
    'Softmax',
    'SoftmaxWithLoss',
    'Split',
    'TanH',
    'WindowData',
    'Eltwise',
    'Power',
    'SigmoidCrossEntropyLoss',
    'HingeLoss',
    'MemoryData',
  ],
  ...['ArgMax', 'Threshold', 'DummyData', 'Slice', 'MVN', 'AbsVal', 'Silence', 'ContrastiveLoss', 'Exp', 'Deconvolution'],
];

/** The same before, in `layers` (field 2): the form of the Oxford VGG files. */
export const OLD_LAYER: Schema = [
  [2, 'bottom', 'text'],
  [3, 'top', 'text'],
  [4, 'name', 'text'],
  [5, 'type', OLD_TYPES],
  [10, 'convolution_param', { message: CONVOLUTION }],
  [11, 'data_param', { message: CROP }],
  [12, 'dropout_param', { message: DROPOUT }],
  [15, 'image_data_param', { message: IMAGES }],
  [17, 'inner_product_param', { message: INNER_PRODUCT }],
  [18, 'lrn_param', { message: LRN }],
  [19, 'pooling_param', { message: POOLING }],
  [22, 'memory_data_param', { message: SIZES }],
  [26, 'dummy_data_param', { message: DUMMY }],
  [30, 'relu_param', { message: RELU }],
  [32, 'include', { message: RULE }],
  [33, 'exclude', { message: RULE }],
  [36, 'transform_param', { message: TRANSFORM }],
];
export const OLD_LAYER_BLOBS = 6;
/** A still older layer within it, of before December 2013. */
export const OLDEST_LAYER = 1;

export const NET: Schema = [
  [1, 'name', 'text'],
  [2, 'layers', { message: OLD_LAYER }],
  [3, 'input', 'text'],
  [4, 'input_dim', 'int'],
  [8, 'input_shape', { message: SHAPE }],
  [100, 'layer', { message: LAYER }],
];
