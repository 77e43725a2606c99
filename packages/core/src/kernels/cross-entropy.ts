/**
 * The mean over rows of `-sum over c of target . log softmax(logits)`, and `(softmax - target) / rows` into `gradient`. The rows of
 * `target` sum to 1. Sums are in float64, and a class whose target is 0 adds nothing even where its logit is -Infinity.
 */
export function softmaxLoss(logits: Float32Array, target: Float32Array, gradient: Float32Array, classes: number): number {
  const rows = logits.length / classes;
  let loss = 0;
  for (let start = 0; start < logits.length; start += classes) {
    const end = start + classes;
    let maximum = Number.NEGATIVE_INFINITY;
    for (let i = start; i < end; i++) if (logits[i] > maximum) maximum = logits[i];
    let sum = 0;
    for (let i = start; i < end; i++) {
      const power = Math.exp(logits[i] - maximum);
      gradient[i] = power;
      sum += power;
    }
    const logSum = Math.log(sum);
    for (let i = start; i < end; i++) {
      if (target[i] !== 0) loss += target[i] * (logSum + maximum - logits[i]);
      gradient[i] = (gradient[i] / sum - target[i]) / rows;
    }
  }
  return loss / rows;
}

/** The mean over all values of `-target . log(sigmoid) - (1 - target) . log(1 - sigmoid)`, and `(sigmoid - target) / count`. */
export function sigmoidLoss(logits: Float32Array, target: Float32Array, gradient: Float32Array): number {
  const count = logits.length;
  let loss = 0;
  for (let i = 0; i < count; i++) {
    const x = logits[i];
    const power = Math.exp(-Math.abs(x));
    loss += Math.max(x, 0) - x * target[i] + Math.log1p(power);
    const sigmoid = (x >= 0 ? 1 : power) / (1 + power);
    gradient[i] = (sigmoid - target[i]) / count;
  }
  return loss / count;
}
