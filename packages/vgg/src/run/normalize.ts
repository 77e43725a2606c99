import * as tf from '@tensorflow/tfjs-core';
import type { Preprocessing } from '../pictures/preprocessing.js';

/** The arithmetic half of a pipeline on tensors: [N, H, W, 3] RGB in 0..255 to channel order, scale, mean and deviation. Differentiable. */
export function normalizeRgb(rgb: tf.Tensor4D, { channelOrder, scale, mean, std }: Preprocessing): tf.Tensor4D {
  return tf.tidy(() => {
    const planes = tf.split(rgb, 3, 3);
    const ordered = channelOrder === 'bgr' ? tf.concat([planes[2], planes[1], planes[0]], 3) : rgb;
    const scaled = tf.sub(tf.mul(ordered, scale), tf.tensor1d([...mean]));
    return tf.div(scaled, tf.tensor1d([...std])) as tf.Tensor4D;
  });
}
