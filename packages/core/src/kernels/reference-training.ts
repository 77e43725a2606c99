import type { Result, Volume } from './reference.js';

/** Batch normalisation by the batch's own statistics, over all axes but the last, as its formula says and in float64. */
export function referenceBatchNormTraining(
  x: Volume,
  p: { scale: ArrayLike<number>; offset: ArrayLike<number>; epsilon: number; relu?: boolean },
): Result & { mean: Float64Array; variance: Float64Array } {
  const channels = x.shape[x.shape.length - 1];
  const pixels = x.data.length / channels;
  const mean = new Float64Array(channels);
  const variance = new Float64Array(channels);
  for (let i = 0; i < x.data.length; i++) mean[i % channels] += x.data[i] / pixels;
  for (let i = 0; i < x.data.length; i++) variance[i % channels] += (x.data[i] - mean[i % channels]) ** 2 / pixels;
  const data = Float64Array.from(x.data, (value, i) => {
    const c = i % channels;
    const y = ((value - mean[c]) / Math.sqrt(variance[c] + p.epsilon)) * p.scale[c] + p.offset[c];
    return p.relu ? Math.max(0, y) : y;
  });
  return { data, shape: [...x.shape], mean, variance };
}

/** The mean over rows of `-sum of target . log softmax(logits)`; both `[N, C]`. */
export function referenceSoftmaxCrossEntropy(logits: Volume, target: Volume): Result {
  const [rows, classes] = logits.shape;
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const values = Array.from({ length: classes }, (_, c) => logits.data[row * classes + c]);
    const most = Math.max(...values);
    const logSum = most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
    values.forEach((value, c) => {
      loss += (target.data[row * classes + c] * (logSum - value)) / rows;
    });
  }
  return { data: Float64Array.of(loss), shape: [] };
}

/** The mean of `-target . log sigmoid(logits) - (1 - target) . log sigmoid(-logits)`. */
export function referenceSigmoidCrossEntropy(logits: Volume, target: Volume): Result {
  const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  let loss = 0;
  for (let i = 0; i < logits.data.length; i++) {
    loss += (target.data[i] * softplus(-logits.data[i]) + (1 - target.data[i]) * softplus(logits.data[i])) / logits.data.length;
  }
  return { data: Float64Array.of(loss), shape: [] };
}

/** The gradient of a max pool: each window hands its `dy` to its first maximum in row order. `dy` `[N, H', W', C]`, padding on no side. */
export function referenceMaxPoolGradient(x: Volume, dy: Volume, size: number, stride: number): Result {
  const [, height, width, channels] = x.shape;
  const [batch, outHeight, outWidth] = dy.shape;
  const data = new Float64Array(x.data.length);
  for (let n = 0; n < batch; n++)
    for (let i = 0; i < outHeight; i++)
      for (let j = 0; j < outWidth; j++)
        for (let c = 0; c < channels; c++) {
          let best = -1;
          for (let y = i * stride; y < Math.min(height, i * stride + size); y++)
            for (let z = j * stride; z < Math.min(width, j * stride + size); z++) {
              const at = ((n * height + y) * width + z) * channels + c;
              if (best < 0 || x.data[at] > x.data[best]) best = at;
            }
          data[best] += dy.data[((n * outHeight + i) * outWidth + j) * channels + c];
        }
  return { data, shape: [...x.shape] };
}
