import type { Rounding } from '../network/plan.js';
import type { PreprocessingName } from '../pictures/preprocessing.js';
import type { RemoteFile } from './download.js';

/** A published set of weights, and what they mean. Its `key` is the name of its file in the cache. */
export interface PublishedSet extends RemoteFile {
  /** `vgg16.keras_in1k`: architecture, publisher, data; `_notop` without the dense layers. */
  readonly id: string;
  /** Other names that people call it by, beside its id without `_in1k`. */
  readonly aliases?: readonly string[];
  readonly architecture: string;
  readonly top: boolean;
  readonly format: 'keras-h5' | 'safetensors' | 'caffe' | 'torch' | 'onnx';
  /** Where the file itself does not say. */
  readonly preprocessing?: PreprocessingName;
  /** How the pools of the publisher's framework round. */
  readonly rounding: Rounding;
  readonly classes: number;
  readonly licence: string;
  /** Who trained them, in a few words. */
  readonly source: string;
  /** Whether a page of another origin may fetch them. */
  readonly cors: boolean;
  /** Inside the package: nothing is fetched. */
  readonly embedded?: boolean;
}

const OXFORD = { licence: 'CC-BY-4.0', source: 'Oxford Visual Geometry Group, 2014' } as const;
const TORCHVISION = { licence: 'BSD-3-Clause', source: 'torchvision' } as const;
const MIB = 2 ** 20;

function keras(architecture: 'vgg16' | 'vgg19', top: boolean, bytes: number, md5: string): PublishedSet {
  const id = `${architecture}.keras_in1k${top ? '' : '_notop'}`;
  const file = `${architecture}_weights_tf_dim_ordering_tf_kernels${top ? '' : '_notop'}.h5`;
  return {
    id,
    key: `${id}.h5`,
    architecture,
    top,
    urls: [
      `https://storage.googleapis.com/tensorflow/keras-applications/${architecture}/${file}`,
      `https://github.com/fchollet/deep-learning-models/releases/download/v0.1/${file}`,
    ],
    bytes,
    hash: { algorithm: 'md5', value: md5 },
    format: 'keras-h5',
    preprocessing: 'keras',
    rounding: 'floor',
    classes: 1000,
    licence: OXFORD.licence,
    source: `${OXFORD.source}, converted by Keras`,
    cors: false,
  };
}

function timm(architecture: string, about: number, revision: string, sha256: string): PublishedSet {
  const id = `${architecture}.timm_tv_in1k`;
  return {
    id,
    aliases: [`${architecture}.timm`, `${architecture}.tv_in1k`],
    key: `${id}.safetensors`,
    architecture,
    top: true,
    urls: [`https://huggingface.co/timm/${architecture}.tv_in1k/resolve/${revision}/model.safetensors`],
    about: about * 1e6,
    hash: { algorithm: 'sha256', value: sha256 },
    format: 'safetensors',
    preprocessing: 'torchvision',
    rounding: 'floor',
    classes: 1000,
    licence: TORCHVISION.licence,
    source: `${TORCHVISION.source}, converted by timm`,
    cors: true,
  };
}

/** torchvision puts the first 8 digits of the sha256 into the file's name. */
function torchvision(architecture: string, about: number, sha256: string, bytes?: number): PublishedSet {
  const id = `${architecture}.torchvision_in1k`;
  return {
    id,
    key: `${id}.pth`,
    architecture,
    top: true,
    urls: [`https://download.pytorch.org/models/${architecture}-${sha256.slice(0, 8)}.pth`],
    ...(bytes === undefined ? { about: about * MIB } : { bytes }),
    hash: { algorithm: 'sha256', value: sha256 },
    format: 'torch',
    preprocessing: 'torchvision',
    rounding: 'floor',
    classes: 1000,
    ...TORCHVISION,
    cors: false,
  };
}

/** Plain http: the hash is all that vouches for the bytes. */
function oxford(architecture: 'vgg16' | 'vgg19', bytes: number, algorithm: 'sha256' | 'sha384', value: string): PublishedSet {
  const id = `${architecture}.oxford_in1k`;
  const layers = architecture.slice(3);
  return {
    id,
    key: `${id}.caffemodel`,
    architecture,
    top: true,
    urls: [`http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/VGG_ILSVRC_${layers}_layers.caffemodel`],
    bytes,
    hash: { algorithm, value },
    format: 'caffe',
    preprocessing: 'caffe',
    rounding: 'ceil',
    classes: 1000,
    ...OXFORD,
    cors: false,
  };
}

function onnx(architecture: string, variant: string, file: string, bytes: number, sha256: string): PublishedSet {
  const id = `${architecture}.onnx_${variant}_in1k`;
  const isOxford = file.includes('caffe2');
  return {
    id,
    key: `${id}.onnx`,
    architecture,
    top: true,
    urls: [`https://github.com/onnx/models/raw/main/validated/vision/classification/vgg/model/${file}.onnx`],
    bytes,
    hash: { algorithm: 'sha256', value: sha256 },
    format: 'onnx',
    preprocessing: isOxford ? 'caffe' : 'torchvision',
    rounding: 'floor',
    classes: 1000,
    ...(isOxford ? { ...OXFORD, source: `${OXFORD.source}, converted by the ONNX zoo` } : { licence: 'Apache-2.0', source: 'ONNX zoo' }),
    cors: false,
  };
}

/** What `load()` opens where nothing is named; nets/compact has its card, its recipe and the log of its training. */
const COMPACT: PublishedSet = {
  id: 'compact.cifar10',
  key: 'compact.cifar10.safetensors',
  architecture: 'compact',
  top: true,
  urls: [],
  bytes: 3_934_676,
  hash: { algorithm: 'sha256', value: 'b7dbcde4e44c28c6ea40186222b870f6a42093b4fd8855cd479c593dce858930' },
  format: 'safetensors',
  rounding: 'floor',
  classes: 10,
  licence: 'Apache-2.0',
  source: 'this project, 2026',
  cors: true,
  embedded: true,
};

/** The sets whose hash is known: the one inside the package, and those that are published. */
export const PUBLISHED_SETS: readonly PublishedSet[] = [
  COMPACT,
  keras('vgg16', false, 58_889_256, '6d6bbae143d832006294945121d1f1fc'),
  keras('vgg16', true, 553_467_096, '64373286793e3c8b2b4e3219cbf3544b'),
  keras('vgg19', false, 80_134_624, '253f8cb515780f3b799900260a226db6'),
  keras('vgg19', true, 574_710_816, 'cbe5617147190e668d6c5d5026f83318'),
  timm('vgg11', 531, 'main', '682c023808812148d4e60c76d80ad83dbeaf5d50eb1a952a0b836895003151e5'),
  timm('vgg13_bn', 532, 'ed6e64d6167edbe08697cb4d7ceaef5077972131', '7dae235e35772693cd527e7ac9ef8f6594707a14a8d26aabdb83c0baa6847861'),
  timm('vgg16', 553, '3394518cba29aee1ea82a49d971be90d2dd1dab7', '57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8'),
  timm('vgg16_bn', 554, 'e00c01e7cee168262dcba6428dc4a8f41e27e965', '88bbedbc8e780413736db38ac4efd41b06fc0e93fd5b8879b584bba63a950129'),
  timm('vgg19', 575, 'main', '11aea017b543ff59233749d8f1cf544cda749378f5790d2fedab841fb86b7669'),
  timm('vgg19_bn', 575, 'main', 'f8249087e63bae61c6166bb23d7c26efe1b2a43fd9fb5cd60ac6ce00535ba312'),
  oxford('vgg16', 553_432_081, 'sha256', 'a6196bc498e45ea4cb2637114ae8db9410cf1556fd60a55ae93272371beba197'),
  oxford(
    'vgg19',
    574_671_192,
    'sha384',
    '86b83739d448a81ddc927922d4d7581e06113478106b59480097b02cc63ff51c9da7c3cd8a865b08946d07d0281d5b2e',
  ),
  torchvision('vgg11', 506.84, '8a719046'),
  torchvision('vgg11_bn', 506.881, '6002323d'),
  torchvision('vgg13', 507.545, '19584684'),
  torchvision('vgg13_bn', 507.59, 'abd245e5'),
  torchvision('vgg16', 527.796, '397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0', 553_433_881),
  torchvision('vgg16_bn', 527.866, '6c64b313'),
  torchvision('vgg19', 548.051, 'dcbb9e9d'),
  torchvision('vgg19_bn', 548.143, 'c79401a0'),
  onnx('vgg16', '7', 'vgg16-7', 553_437_328, 'f20805a3ecccaa88647bbab4ad011ff2412a9838485ea844de0fcbce349820b9'),
  onnx('vgg16', '12', 'vgg16-12', 553_437_752, '722c42f53ca03a5480296bf8f9c85a151de3eed9ec982d7d2302ff6e2900c67b'),
  onnx('vgg16', '12_int8', 'vgg16-12-int8', 138_407_238, '0d0a8e1d69f70404421e37dbad4f8bd21d42758e9f426bd5b39e9e4e9e1afa23'),
  onnx('vgg16_bn', '7', 'vgg16-bn-7', 553_512_191, '4fdceabf1ef715c9ed3020fa2eac1cb2a448296c086b03633c80cf47e1c5afce'),
  onnx('vgg19', '7', 'vgg19-7', 574_677_321, '692f9f927f1df1b89033787a77a73eac59fd9b3344f9ecdf0b13221e41c2046f'),
  onnx('vgg19_bn', '7', 'vgg19-bn-7', 574_774_380, 'ce0987dfa6228ad29708013f38b7f73cbc14ca6066a05fc22ee49b35871c63ed'),
  onnx('vgg19', 'caffe2_9', 'vgg19-caffe2-9', 574_674_712, 'cfb97260b303ad3963999662456571b89c5f73dbdd2fd9dffd19fed7a90f766b'),
];

/** Keras's class index of ImageNet: `{"0": ["n01440764", "tench"], ...}`. Fetched, never shipped. */
export const IMAGENET_CLASSES: RemoteFile = {
  key: 'imagenet_class_index.json',
  urls: ['https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json'],
  bytes: 35_363,
  hash: { algorithm: 'md5', value: 'c2c37ea517e94d9795004a39431a14cb' },
};
