/** Keys of what our files say of themselves, beside the tensors. */
export const METADATA = {
  plan: 'vgg.plan',
  preprocessing: 'vgg.preprocessing',
  classes: 'vgg.classes',
  licence: 'vgg.licence',
  source: 'vgg.source',
  /** The sha256 of each tensor's bytes, which the safetensors writer adds. */
  sha256: 'vgg.sha256',
} as const;
