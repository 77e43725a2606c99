/** VGG-16's blocks: output channels of each convolution, a pool after each block. */
export const BLOCKS = [
  [64, 64],
  [128, 128],
  [256, 256, 256],
  [512, 512, 512],
  [512, 512, 512],
];
