/**
 * The layers of a network in the order they run, as weight files tell of them: what a prototxt, an ONNX graph or a Keras configuration
 * is read to, and what they are written from. Weights are named by the layer: `conv1_1` has `conv1_1.weight` [kh, kw, in, out] and
 * `conv1_1.bias`, `fc6` has `fc6.weight` [in, out] and `fc6.bias`, `bn1_1` has `bn1_1.scale`, `.offset`, `.mean` and `.variance`.
 */
export interface FileGraph {
  readonly name?: string;
  /** Of one picture, where it is known. */
  readonly input?: { readonly channels?: number; readonly height?: number; readonly width?: number };
  readonly layers: readonly GraphLayer[];
}

export type GraphLayer =
  | {
      readonly kind: 'conv';
      readonly name: string;
      /** Undefined where the file does not say, as in a prototxt. */
      readonly in?: number;
      readonly out: number;
      /** Height and width of the window. */
      readonly kernel: readonly [number, number];
      readonly stride: number;
      /** Cells added on every side; `same` keeps the size at stride 1. */
      readonly pad: number | 'same';
      /** What is added: zeros unless told. */
      readonly padding?: 'zero' | 'reflect';
      readonly dilation: number;
      readonly groups: number;
      readonly bias: boolean;
    }
  | { readonly kind: 'dense'; readonly name: string; readonly in?: number; readonly out: number; readonly bias: boolean }
  | { readonly kind: 'batchnorm'; readonly name: string; readonly channels?: number; readonly epsilon: number }
  /** x / (bias + alpha * sum of squares over 2 radius + 1 channels) ^ beta; Caffe's and ONNX's alpha is this one times the number of channels. */
  | {
      readonly kind: 'lrn';
      readonly name: string;
      readonly radius: number;
      readonly bias: number;
      readonly alpha: number;
      readonly beta: number;
    }
  | {
      readonly kind: 'pool';
      readonly name: string;
      readonly pool: 'max' | 'average' | 'l2';
      readonly size: number;
      readonly stride: number;
      readonly pad: number | 'same';
      readonly rounding: 'floor' | 'ceil';
    }
  | { readonly kind: 'dropout'; readonly name: string; readonly rate: number }
  /** `mean` is over height and width. */
  | { readonly kind: 'relu' | 'flatten' | 'softmax' | 'mean'; readonly name: string }
  /** A layer that no VGG has, by the file's own word for it. */
  | { readonly kind: 'other'; readonly name: string; readonly type: string };
