type Step = '1_1' | '1_2' | '2_1' | '2_2' | '3_1' | '3_2' | '3_3' | '3_4' | '4_1' | '4_2' | '4_3' | '4_4' | '5_1' | '5_2' | '5_3' | '5_4';
type Block = 1 | 2 | 3 | 4 | 5;

/** The paper's names in the networks of the family: `conv5_3` is before its ReLU, `relu5_3` after it, `conv5` the block's last activation. */
export type PaperTap =
  | `conv${Step}`
  | `bn${Step}`
  | `relu${Step}`
  | 'norm1'
  | `pool${Block}`
  | `conv${Block}`
  | 'flatten'
  | 'fc6'
  | 'relu6'
  | 'fc7'
  | 'relu7'
  | 'fc8'
  | 'mean'
  | 'prob';

/** A layer by name: a {@link PaperTap}, which editors complete, or any alias of Keras, torchvision, timm or Caffe. */
export type TapName = PaperTap | (string & Record<never, never>);
