import type { StoredHead } from './head-file.js';

/** See {@link Head.denseLayers}: `(x - mean) / deviation . w + b` is `x . (w / deviation) + (b - sum of w mean / deviation)`. */
export function denseLayers({ standard, net }: Pick<StoredHead, 'standard' | 'net'>): { weight: Float32Array; bias: Float32Array }[] {
  return net.map(({ inputs, outputs, weights, bias }, l) => {
    const weight = new Float32Array(weights.length);
    const moved = Float64Array.from(bias);
    for (let unit = 0; unit < outputs; unit++) {
      for (let i = 0; i < inputs; i++) {
        const value = weights[unit * inputs + i]! / (l === 0 ? standard.deviation[i]! : 1);
        weight[i * outputs + unit] = value;
        if (l === 0) moved[unit]! -= value * standard.mean[i]!;
      }
    }
    return { weight, bias: Float32Array.from(moved) };
  });
}
