/** One layer with weights, as the table of the architecture has it, in the order in which the network runs them. */
export interface WeightSpec {
  /** The paper's name: `conv1_1`, `fc6`; of a batch normalisation `bn1_1`. */
  readonly name: string;
  readonly kind: 'conv' | 'dense' | 'batchnorm';
  /** Of the weight: [kh, kw, in, out], [in, out], or [channels]. */
  readonly shape: readonly number[];
  /** For the first dense layer: the [h, w, c] that is flattened into its input, since channels-first files order it otherwise. */
  readonly flattenedFrom?: readonly [number, number, number];
  /** False for a convolution or dense layer without a bias. */
  readonly bias?: boolean;
}

/**
 * Whose names a file uses: Keras and tfjs; torchvision and timm; the paper's (Caffe's, and ours); TF-Slim's; the paper's as variables of
 * TensorFlow 1; Frossard's (`conv1_1_W`); or others, of which only the order says anything.
 */
export type Naming = 'keras' | 'torch' | 'canonical' | 'slim' | 'tensorflow' | 'frossard' | 'order';

/** What a tensor is to its layer. */
export type Part = 'weight' | 'bias' | 'scale' | 'offset' | 'mean' | 'variance';

/** Where a file's tensor belongs. */
export interface Place {
  readonly layer: string;
  readonly part: Part;
  /** Whether this naming's files put the outputs first; undefined where only the shape can tell. */
  readonly outputFirst: boolean | undefined;
}

/** The tensors of a file that have a place among the layers, by the file's names, and those that carry no weights. */
export interface Places {
  readonly places: ReadonlyMap<string, Place>;
  readonly ignored: readonly string[];
}

/** One layer with weights as a file has it, before any architecture is known. */
export interface FoundLayer {
  readonly kind: 'conv' | 'dense' | 'batchnorm';
  /** The file's name of the layer. */
  readonly name: string;
  /** The parts that the file has, with the names of their tensors. */
  readonly parts: ReadonlyMap<Part, string>;
  /** The paper's name of it, where the file's own name tells. */
  readonly place?: string;
}
