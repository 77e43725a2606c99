/** Which values a pool takes from its window. */
export type PoolKind = 'max' | 'average' | 'l2';
/** How a pool rounds a size that its stride does not divide: Caffe rounds up (`ceil`), Keras and PyTorch down (`floor`). */
export type Rounding = 'floor' | 'ceil';
/** What a 3x3 convolution sees beyond the border: zeros (same size), the mirrored picture (same size), or nothing (two cells fewer). */
export type Padding = 'zero' | 'reflect' | 'valid';

/** One layer, as data; a network is a list of these run in order. Filters are HWIO, dense weights [in, out], maps NHWC. */
export type Layer =
  | { readonly kind: 'conv'; readonly name: string; readonly kernel: 1 | 3 | 7; readonly in: number; readonly out: number; readonly padding: Padding }
  | { readonly kind: 'batchnorm'; readonly name: string; readonly channels: number; readonly epsilon: number }
  | { readonly kind: 'lrn'; readonly name: string; readonly radius: number; readonly bias: number; readonly alpha: number; readonly beta: number }
  | { readonly kind: 'relu'; readonly name: string }
  | { readonly kind: 'pool'; readonly name: string; readonly pool: PoolKind; readonly size: number; readonly stride: number; readonly rounding: Rounding }
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
}
