/** Which values a pool takes from its window. */
export type PoolKind = 'max' | 'average' | 'l2';
/** How a pool rounds a size that its stride does not divide: Caffe rounds up (`ceil`), Keras and PyTorch down (`floor`). */
export type Rounding = 'floor' | 'ceil';
/** What a 3x3 convolution sees beyond the border: zeros (same size), the mirrored picture (same size), or nothing (two cells fewer). */
export type Padding = 'zero' | 'reflect' | 'valid';

/** One layer, as data; a network is a list of these run in order. Filters are HWIO, dense weights [in, out], maps NHWC. */
export type Layer =
  | {
      readonly kind: 'conv';
      readonly name: string;
      readonly kernel: 1 | 3 | 7;
      readonly in: number;
      readonly out: number;
      readonly padding: Padding;
    }
  | { readonly kind: 'batchnorm'; readonly name: string; readonly channels: number; readonly epsilon: number }
  | {
      readonly kind: 'lrn';
      readonly name: string;
      readonly radius: number;
      readonly bias: number;
      readonly alpha: number;
      readonly beta: number;
    }
  | { readonly kind: 'relu'; readonly name: string }
  | {
      readonly kind: 'pool';
      readonly name: string;
      readonly pool: PoolKind;
      readonly size: number;
      readonly stride: number;
      readonly rounding: Rounding;
    }
  | { readonly kind: 'flatten'; readonly name: string }
  | { readonly kind: 'dense'; readonly name: string; readonly in: number; readonly out: number }
  | { readonly kind: 'dropout'; readonly name: string; readonly rate: number }
  | { readonly kind: 'mean'; readonly name: string }
  | { readonly kind: 'softmax'; readonly name: string };

/** A network as a list of layers, ready to be counted, run or matched against a weight file. */
export interface Network {
  /** `vgg16`, `vgg16_bn`, `vgg11_lrn`, `vgg16c` ..., or a custom plan's own name. */
  readonly name: string;
  readonly channels: number;
  /** The side of the square input that the dense layers were made for (224); any size from 32 up without them. */
  readonly size: number;
  readonly classes: number;
  readonly batchNorm: boolean;
  /** False where the dense layers are left out. */
  readonly top: boolean;
  readonly layers: readonly Layer[];
  /** What the layers were made from; as JSON it gives the same network again. */
  readonly plan: Plan;
}

/** A convolution in a plan: its output channels where it is 3x3, or the paper's notation, `conv1-256` for a 1x1. */
export type PlannedConv = number | `conv1-${number}` | `conv3-${number}`;

/** A network in a few words; plain JSON. `blocks` is all it needs, {@link PLAN_DEFAULTS} has the rest. */
export interface Plan {
  /** For listings and messages. */
  readonly name: string;
  /** The convolutions of each block, such as `[[64, 64], [128, 128], [256, 256, "conv1-256"]]`. */
  readonly blocks: readonly (readonly PlannedConv[])[];
  /** The blocks, counted from 1, that end with a pool; by default all of them. */
  readonly pools: readonly number[];
  readonly pool: PoolKind;
  /** Side of a pool's window, in cells. */
  readonly poolSize: number;
  readonly poolStride: number;
  readonly rounding: Rounding;
  readonly padding: Padding;
  /** A 1x1 convolution `conv0` from the input's channels to as many, in front of the first block, as in AdaIN's normalised VGG-19. */
  readonly colour: boolean;
  /** Batch normalisation between each convolution and its ReLU. */
  readonly batchNorm: boolean;
  /** Added to the variance by batch normalisation. */
  readonly epsilon: number;
  /** Local response normalisation after the first convolution's ReLU (column A-LRN). */
  readonly lrn: boolean;
  /** False leaves out everything after the last block. */
  readonly top: boolean;
  /** The mean over the last map in front of the dense layers, in the place of its cells one after the other: any size from there up. */
  readonly globalPool: boolean;
  /** Widths of the hidden dense layers; the one with `classes` outputs follows them. */
  readonly dense: readonly number[];
  /** The dense layers as convolutions, and the mean over their map: any size from `size` up, with the same weights. */
  readonly convolutionalTop: boolean;
  /** Fraction of a hidden dense layer's outputs dropped while training; 0 leaves the dropout layers out. */
  readonly dropout: number;
  readonly classes: number;
  /** Of the input picture. */
  readonly channels: number;
  /** Side of the square input that the dense layers are made for, in pixels. */
  readonly size: number;
}

/** A plan as a caller gives it: `blocks`, and what is otherwise than usual. */
export type PlanInput = Partial<Plan> & Pick<Plan, 'blocks'>;
