import { VggError } from '@vgg/errors';
import { FILTERS, type Filter } from './resample.js';

/**
 * How a picture comes to size:
 * - `squash`: to `size` x `size`, whatever its proportions;
 * - `shorter`: its shorter side to `size`, the longer one in proportion, rounded down as torchvision does;
 * - `letterbox`: its longer side to `size`, then padded evenly to `size` x `size` with `fill` (default 0, black);
 * - `none`: as it is; `filter` is for an explicit `size` only.
 */
export type ResizeRule =
  | { readonly mode: 'squash' | 'shorter'; readonly size: number; readonly filter: Filter }
  | { readonly mode: 'letterbox'; readonly size: number; readonly filter: Filter; readonly fill?: number }
  | { readonly mode: 'none'; readonly filter?: Filter };

/**
 * What a set of weights wants done to a picture: resize, centre crop, channel order, then `(value * scale - mean) / std` in float32.
 * Plain data: it is stored with the weights and with a head, as JSON.
 */
export interface Preprocessing {
  readonly name: string;
  readonly resize: ResizeRule;
  /** Side of the centre crop taken after the resize; left out for none. */
  readonly crop?: number;
  readonly channelOrder: 'rgb' | 'bgr';
  /** What the 8-bit values are multiplied by first: 1, or 1/255. */
  readonly scale: number;
  /** In `channelOrder`, after `scale`. */
  readonly mean: readonly [number, number, number];
  /** In `channelOrder`. */
  readonly std: readonly [number, number, number];
}

export type PreprocessingName =
  | 'keras'
  | 'caffe'
  | 'torchvision'
  | 'timm'
  | 'matconvnet'
  | 'tf-slim'
  | 'frossard'
  | 'adain'
  | 'tf'
  | 'none';

/** Mean of the ImageNet training pixels in the blue, green, red order of Caffe (Simonyan and Zisserman 2014, section 2.1). */
const BGR_MEAN = [103.939, 116.779, 123.68] as const;
const RGB_MEAN = [123.68, 116.779, 103.939] as const;
const ONES = [1, 1, 1] as const;
const IMAGENET = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], channelOrder: 'rgb' } as const;
const shorterThenCrop = { resize: { mode: 'shorter', size: 256, filter: 'bilinear' }, crop: 224 } as const;

/** The reference pipelines by name. */
export const PREPROCESSINGS: Readonly<Record<PreprocessingName, Preprocessing>> = {
  /** `load_img(target_size=(224, 224))`, whose default filter is nearest, then `vgg16.preprocess_input`. */
  keras: {
    name: 'keras',
    resize: { mode: 'squash', size: 224, filter: 'nearest' },
    channelOrder: 'bgr',
    scale: 1,
    mean: BGR_MEAN,
    std: ONES,
  },
  /** Oxford's own: shorter side 256, centre crop 224, minus the mean pixel. */
  caffe: { name: 'caffe', ...shorterThenCrop, channelOrder: 'bgr', scale: 1, mean: BGR_MEAN, std: ONES },
  /** `VGG16_Weights.IMAGENET1K_V1.transforms()` on a Pillow image. */
  torchvision: { name: 'torchvision', ...shorterThenCrop, ...IMAGENET },
  /** `vgg16.tv_in1k`: crop_pct 0.875, bilinear, ImageNet mean and deviation; the same numbers as torchvision's. */
  timm: { name: 'timm', ...shorterThenCrop, ...IMAGENET },
  /**
   * MatConvNet's imagenet-vgg-verydeep: `meta.normalization` keeps the proportions with a border of 32 around 224 pixels, bicubic, and
   * subtracts `averageImage`, in RGB (vlfeat.org/matconvnet/pretrained).
   */
  matconvnet: {
    name: 'matconvnet',
    resize: { mode: 'shorter', size: 256, filter: 'bicubic' },
    crop: 224,
    channelOrder: 'rgb',
    scale: 1,
    mean: RGB_MEAN,
    std: ONES,
  },
  /** `vgg_preprocessing.preprocess_for_eval` of TF-Slim: shorter side 256, centre crop 224, minus the mean, in RGB. */
  'tf-slim': { name: 'tf-slim', ...shorterThenCrop, channelOrder: 'rgb', scale: 1, mean: RGB_MEAN, std: ONES },
  /** vgg16.py of Davi Frossard: `imresize(img, (224, 224))`, which is bilinear, minus the mean, in RGB. */
  frossard: {
    name: 'frossard',
    resize: { mode: 'squash', size: 224, filter: 'bilinear' },
    channelOrder: 'rgb',
    scale: 1,
    mean: RGB_MEAN,
    std: ONES,
  },
  /** The normalised VGG-19 of AdaIN (Huang and Belongie 2017), whose first convolution takes care of the colours: any size, RGB / 255. */
  adain: { name: 'adain', resize: { mode: 'none' }, channelOrder: 'rgb', scale: 1 / 255, mean: [0, 0, 0], std: ONES },
  /** Keras's mode `tf`: 224 x 224, values from -1 to 1. */
  tf: {
    name: 'tf',
    resize: { mode: 'squash', size: 224, filter: 'nearest' },
    channelOrder: 'rgb',
    scale: 1 / 127.5,
    mean: ONES,
    std: ONES,
  },
  /** The pixels as they are: any size, RGB, 0..255. */
  none: { name: 'none', resize: { mode: 'none' }, channelOrder: 'rgb', scale: 1, mean: [0, 0, 0], std: ONES },
};

/**
 * A pipeline by name, as an object of one's own, or as JSON text: checked, and copied to plain data that goes through JSON unchanged.
 *
 * @throws VggError `VGG_OPTION` saying which field is wrong
 * @example parsePreprocessing('keras').mean // [103.939, 116.779, 123.68]
 * @example parsePreprocessing('{"name":"mine","resize":{"mode":"none"},"channelOrder":"rgb","scale":1,"mean":[0,0,0],"std":[1,1,1]}')
 */
export function parsePreprocessing(from: unknown): Preprocessing {
  if (typeof from === 'string') {
    if (Object.hasOwn(PREPROCESSINGS, from)) return parsePreprocessing(PREPROCESSINGS[from as PreprocessingName]);
    return parsePreprocessing(parseJson(from));
  }
  const fields = record(from, 'preprocessing');
  const resizeRule = parseResize(fields.resize);
  const side = fields.crop === undefined || fields.crop === null ? undefined : pixels(fields.crop, 'crop');
  if (side !== undefined && resizeRule.mode !== 'none' && side > resizeRule.size)
    wrong('crop', `at most the resize's ${resizeRule.size} pixels`, side);
  const { name, channelOrder } = fields;
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME) wrong('name', `a text of 1 to ${MAX_NAME} characters`, name);
  if (channelOrder !== 'rgb' && channelOrder !== 'bgr') wrong('channelOrder', "'rgb' or 'bgr'", channelOrder);
  return {
    name,
    resize: resizeRule,
    ...(side === undefined ? {} : { crop: side }),
    channelOrder,
    scale: positive(fields.scale, 'scale'),
    mean: three(fields.mean, 'mean', finite),
    std: three(fields.std, 'std', positive),
  };
}

const MAX_NAME = 100;
/** Larger inputs would not fit any device's memory; a stranger's head file must not ask for them. */
const MAX_INPUT = 16_384;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const names = Object.keys(PREPROCESSINGS).join(', ');
    throw new VggError('VGG_OPTION', `preprocessing: expected one of ${names}, an object or its JSON, received ${shown(text)}`, { cause });
  }
}

function parseResize(value: unknown): ResizeRule {
  const { mode, size, filter, fill } = record(value, 'resize');
  if (mode === 'none') return filter === undefined ? { mode } : { mode, filter: parseFilter(filter) };
  if (mode === 'squash' || mode === 'shorter') return { mode, size: pixels(size, 'resize.size'), filter: parseFilter(filter) };
  if (mode !== 'letterbox') return wrong('resize.mode', "'squash', 'shorter', 'letterbox' or 'none'", mode);
  const rule = { mode, size: pixels(size, 'resize.size'), filter: parseFilter(filter) } as const;
  if (fill === undefined) return rule;
  if (!(Number.isInteger(fill) && (fill as number) >= 0 && (fill as number) <= 255))
    wrong('resize.fill', 'a whole number from 0 to 255', fill);
  return { ...rule, fill: fill as number };
}

function parseFilter(value: unknown): Filter {
  return FILTERS.includes(value as Filter) ? (value as Filter) : wrong('resize.filter', `one of ${FILTERS.join(', ')}`, value);
}

function record(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) wrong(field, 'an object', value);
  return value as Record<string, unknown>;
}

function pixels(value: unknown, field: string): number {
  if (!(Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_INPUT))
    wrong(field, `whole pixels from 1 to ${MAX_INPUT}`, value);
  return value as number;
}

function finite(value: unknown, field: string): number {
  return Number.isFinite(value) ? (value as number) : wrong(field, 'a number', value);
}

function positive(value: unknown, field: string): number {
  return finite(value, field) > 0 ? (value as number) : wrong(field, 'a number above 0', value);
}

function three(value: unknown, field: string, check: (value: unknown, field: string) => number): [number, number, number] {
  if (!Array.isArray(value) || value.length !== 3) wrong(field, 'three numbers, in channelOrder', value);
  return (value as unknown[]).map((entry, i) => check(entry, `${field}[${i}]`)) as [number, number, number];
}

function wrong(field: string, expected: string, received: unknown): never {
  const where = field === 'preprocessing' ? '' : ` as ${field}`;
  throw new VggError('VGG_OPTION', `preprocessing: expected ${expected}${where}, received ${shown(received)}`);
}

function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
