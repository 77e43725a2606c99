import * as tf from '@tensorflow/tfjs-core';
import { type Backend, type BackendName, batchNorm, conv2d, conv2dPool, dense, lrn, pool, relu, softmax } from '@vgg/core';
import { throwIfAborted, turn, VggError } from '@vgg/errors';
import type { Layer } from '../network/plan.js';
import { type LayerWeights, NO_WEIGHTS } from '../weights/store.js';
import type { Placement } from './placement.js';

/** One call on a backend: a layer, or a convolution or dense layer together with what follows it. */
export interface Step {
  readonly layer: Layer;
  /** The ReLU behind a convolution or dense layer. */
  readonly relu?: Extract<Layer, { kind: 'relu' }>;
  /** The pool behind a convolution. */
  readonly pool?: Extract<Layer, { kind: 'pool' }>;
  /** The name of what the step leaves: the last layer's. */
  readonly output: string;
  readonly placement: Placement;
}

/** The steps that compute these layers; a ReLU, and behind a convolution a pool, joins the layer before it unless somebody taps that. */
export function steps(layers: readonly Layer[], taps: ReadonlySet<string>, placements: readonly Placement[]): Step[] {
  const result: Step[] = [];
  for (let i = 0; i < layers.length; ) {
    const placement = placements[i];
    const layer = layers[i++];
    let output = layer.name;
    const next = <Kind extends Layer['kind']>(kind: Kind) => {
      const { [i]: following } = layers;
      if (following?.kind !== kind || taps.has(output)) return undefined;
      i++;
      output = following.name;
      return following as Extract<Layer, { kind: Kind }>;
    };
    const relu = layer.kind === 'conv' || layer.kind === 'dense' ? next('relu') : undefined;
    const pool = layer.kind === 'conv' && placements[i]?.backend === placement.backend ? next('pool') : undefined;
    result.push({ layer, ...(relu && { relu }), ...(pool && { pool }), output, placement });
  }
  return result;
}

/** Computes one step. `x` is [N, H, W, C] for maps and [N, C] behind the flattening; differentiable in `x` and the weights. */
function runStep(step: Step, x: tf.Tensor, weights: LayerWeights): tf.Tensor {
  const { layer, pool: pooling } = step;
  const activation = step.relu ? 'relu' : 'linear';
  const other = (name: string) => weights.others.get(name)!;
  switch (layer.kind) {
    case 'conv': {
      const filter = weights.weight[0] as tf.Tensor4D;
      const options = { activation, padding: layer.padding } as const;
      return pooling
        ? conv2dPool(x as tf.Tensor4D, filter, other('bias'), options, pooling)
        : conv2d(x as tf.Tensor4D, filter, other('bias'), options);
    }
    case 'dense':
      return dense(x as tf.Tensor2D, weights.weight as tf.Tensor2D[], other('bias') as tf.Tensor1D, { activation });
    case 'batchnorm':
      return batchNorm(x as tf.Tensor4D, {
        mean: other('mean') as tf.Tensor1D,
        variance: other('variance') as tf.Tensor1D,
        scale: other('scale') as tf.Tensor1D,
        offset: other('offset') as tf.Tensor1D,
        epsilon: layer.epsilon,
      });
    case 'lrn':
      return lrn(x as tf.Tensor4D, layer);
    case 'relu':
      return relu(x);
    case 'pool':
      return pool(x as tf.Tensor4D, layer);
    case 'flatten':
      return tf.reshape(x, [x.shape[0], -1]);
    case 'mean':
      return tf.mean(x, [1, 2]);
    case 'softmax':
      return softmax(x as tf.Tensor2D);
    case 'dropout':
      return tf.clone(x);
  }
}

/** What a forward pass needs from its model. */
export interface ForwardContext {
  backend(name: BackendName): Promise<Backend>;
  weights(layer: Layer, backend: Backend): Promise<LayerWeights>;
  signal?: AbortSignal;
  /** Called before each step; what it answers is called behind it. For profiles. */
  watch?(step: Step): () => void;
}

/** How long passes may hold the event loop before others run and an AbortSignal is looked at, in ms. */
const STRETCH = 40;
/** When others ran last: passes over small pictures are short, and thousands of them in a row must let go as well. */
let lastTurn = 0;

/**
 * Runs the steps on `values` ([N, H, W, C], prepared pixels) and gives the values of every tap. Between layers it yields to the
 * event loop, so that a page stays alive and an abort is seen; whatever happens, no tensor is left behind.
 */
export async function forward(
  plan: readonly Step[],
  values: Float32Array,
  shape: [number, number, number, number],
  taps: ReadonlySet<string>,
  context: ForwardContext,
): Promise<Map<string, { shape: number[]; data: Float32Array }>> {
  const found = new Map<string, { shape: number[]; data: Float32Array }>();
  let current: { backend: Backend; tensor: tf.Tensor } | undefined;
  try {
    for (const step of plan) {
      throwIfAborted(context.signal, 'extract');
      const backend = await context.backend(step.placement.backend);
      const before: { backend: Backend; tensor: tf.Tensor } = current ?? {
        backend,
        tensor: backend.run(() => tf.tensor4d(values, shape, 'float32')),
      };
      current = before;
      if (before.backend !== backend) {
        // Off a GPU values can only be read asynchronously; tfjs's own synchronous move gives wrong ones.
        const data = await before.backend.read(before.tensor);
        current = { backend, tensor: backend.run(() => tf.tensor(data, before.tensor.shape, 'float32')) };
        before.tensor.dispose();
      }
      // Asked for last, so that a model that was disposed of meanwhile says so here.
      const weights = await context.weights(step.layer, backend);
      const input = current.tensor;
      const seen = context.watch?.(step);
      let output: tf.Tensor;
      try {
        output = backend.run(() => tf.tidy(() => runStep(step, input, weights)));
      } finally {
        seen?.();
      }
      current = { backend, tensor: output };
      if (input !== output) input.dispose();
      if (taps.has(step.output)) {
        const data = await backend.read(output);
        found.set(step.output, { shape: [...output.shape], data: data.slice() });
      }
      if (performance.now() - lastTurn > STRETCH) {
        await turn();
        lastTurn = performance.now();
      }
    }
    throwIfAborted(context.signal, 'extract');
    return found;
  } finally {
    current?.tensor.dispose();
  }
}

/** @throws VggError `VGG_MEMORY` where steps run on different backends, since values leave a GPU only asynchronously */
export function requireOneBackend(plan: readonly Step[], own: BackendName): void {
  const elsewhere = plan.find((step) => step.placement.backend !== own);
  if (!elsewhere) return;
  const { layer, placement } = elsewhere;
  throw new VggError(
    'VGG_MEMORY',
    `activations: ${layer.name} runs on ${placement.backend} (${placement.reason}), and a synchronous pass cannot change backends; use a smaller picture, or extract`,
  );
}

/** The same as one synchronous, differentiable computation on `x`. */
export function activations(
  plan: readonly Step[],
  x: tf.Tensor4D,
  taps: readonly string[],
  weights: ReadonlyMap<string, LayerWeights>,
): Record<string, tf.Tensor> {
  const found: Record<string, tf.Tensor> = {};
  let current: tf.Tensor = x;
  for (const step of plan) {
    current = runStep(step, current, weights.get(step.layer.name) ?? NO_WEIGHTS);
    if (taps.includes(step.output)) found[step.output] = current;
  }
  return found;
}
