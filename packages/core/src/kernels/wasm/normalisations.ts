import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { LayerExports } from './layer-exports.js';
import type { KernelArguments } from './override.js';
import type { Workspace } from './workspace.js';

/** tfjs's `LRN`, with an exponent of 1/2, 3/4 or 1; undefined where it is not ours. */
export function localResponse(
  workspace: Workspace,
  kernels: LayerExports,
  { inputs, attrs, backend }: KernelArguments,
): TensorInfo | undefined {
  const { x } = inputs as { x: TensorInfo };
  const { depthRadius, bias, alpha, beta } = attrs as unknown as Record<'depthRadius' | 'bias' | 'alpha' | 'beta', number>;
  if (backend !== workspace.runtime.backend || x.dtype !== 'float32' || x.shape.length !== 4) return undefined;
  if (![2, 3, 4].includes(beta * 4) || !Number.isInteger(depthRadius) || depthRadius < 0 || x.shape.some((size) => size < 1))
    return undefined;
  const channels = x.shape[3];
  // A wider window has no more channels.
  const radius = Math.min(depthRadius, channels);
  const work = workspace.scratch(kernels.responseBytes(channels, radius));
  const output = workspace.makeOutput('lrn', x.shape);
  const pixels = x.shape[0] * x.shape[1] * x.shape[2];
  const [from, to] = [x, output].map((tensor) => workspace.pointer(tensor));
  kernels.responsePixels(from, to, work, channels, radius, bias, alpha, beta * 4, 0, pixels);
  return output;
}

/** tfjs's `FusedBatchNorm` over the last axis; undefined where it is not ours. */
export function batchNormalisation(
  workspace: Workspace,
  kernels: LayerExports,
  { inputs, attrs, backend }: KernelArguments,
): TensorInfo | undefined {
  const { x, mean, variance, offset, scale } = inputs as unknown as Record<'x' | 'mean' | 'variance', TensorInfo> &
    Record<'offset' | 'scale', TensorInfo | undefined>;
  if (backend !== workspace.runtime.backend || x.dtype !== 'float32' || x.shape.length < 1 || x.shape.some((size) => size < 1))
    return undefined;
  const channels = x.shape[x.shape.length - 1];
  for (const each of [mean, variance, offset, scale]) {
    if (each && (each.dtype !== 'float32' || each.shape.length !== 1 || each.shape[0] !== channels)) return undefined;
  }
  const factors = workspace.scratch(channels * 4);
  const output = workspace.makeOutput('batchNorm', x.shape);
  const at = (tensor: TensorInfo | undefined) => (tensor ? workspace.pointer(tensor) : 0);
  const { varianceEpsilon } = attrs as unknown as { varianceEpsilon: number };
  kernels.writeFactors(at(variance), at(scale), factors, channels, varianceEpsilon);
  const pixels = x.shape.reduce((product, size) => product * size, 1) / channels;
  kernels.scalePixels(at(x), at(output), at(mean), factors, at(offset), channels, 0, pixels);
  return output;
}
