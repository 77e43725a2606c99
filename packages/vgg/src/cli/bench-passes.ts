import * as tf from '@tensorflow/tfjs-core';
import { type Backend, type BackendName, chainGradients, openBackend, registerGradients } from '@vgg/core';
import type { Layer, Network } from '../network/plan.js';
import { activations, forward, requireOneBackend, type Step, steps } from '../run/forward.js';
import { place } from '../run/placement.js';
import { type LayerWeights, tensorNames, type WeightStore } from '../weights/store.js';
import type { Context } from './command.js';

interface PassOptions {
  network: Network;
  layers: readonly Layer[];
  store: WeightStore;
  backend: Backend;
  /** [N, H, W, C] */
  values: Float32Array;
  shape: [number, number, number, number];
  /** Pictures at a time. */
  portion: number;
  context: Context;
}

/** A batch in portions. */
function* portionsOf(values: Float32Array, [batch, ...picture]: PassOptions['shape'], portion: number) {
  const length = values.length / batch;
  for (let from = 0; from < batch; from += portion) {
    const count = Math.min(portion, batch - from);
    yield { x: values.subarray(from * length, (from + count) * length), shape: [count, ...picture] as PassOptions['shape'] };
  }
}

/** What is measured: one run, with its result read back. */
interface Pass {
  /** `watch` sees each step of a forward pass. */
  run(watch?: (step: Step) => () => void): Promise<void>;
  dispose(): void;
}

async function forwardPass({
  network,
  layers,
  store,
  backend,
  values,
  shape,
  portion,
  context: { signal, onProgress },
}: PassOptions): Promise<Pass> {
  const [, height, width] = shape;
  const placements = place(network, layers, portion, height, width, backend.info);
  const backends = new Map<BackendName, Backend>();
  for (const { backend: name } of placements)
    if (!backends.has(name)) backends.set(name, name === backend.name ? backend : await openBackend(name, { signal }));
  const on = new Map(placements.map((each) => [each.layer, backends.get(each.backend)!]));
  await store.ensure(layers, (layer) => on.get(layer.name)!, { signal, onProgress });
  const taps = new Set([layers.at(-1)!.name]);
  const plan = steps(layers, taps, placements);
  return {
    async run(watch) {
      for (const each of portionsOf(values, shape, portion)) {
        await forward(plan, each.x, each.shape, taps, {
          backend: async (name) => backends.get(name)!,
          weights: (layer, where) => store.get(layer, where),
          signal,
          watch,
        });
      }
    },
    dispose() {},
  };
}

/** Gradients of sum(x^2)/2 for every parameter; x is the last layer before the softmax. */
async function backwardPass({
  network,
  layers: all,
  store,
  backend,
  values,
  shape,
  portion,
  context: { signal, onProgress },
}: PassOptions): Promise<Pass> {
  registerGradients();
  const layers = all.filter(({ kind }) => kind !== 'softmax');
  const [, height, width] = shape;
  const placements = place(network, layers, portion, height, width, backend.info);
  const tap = layers.at(-1)!.name;
  const plan = steps(layers, new Set([tap]), placements);
  requireOneBackend(plan, backend.name);
  await store.ensure(layers, () => backend, { signal, onProgress });
  const held = new Map<string, LayerWeights>();
  for (const layer of layers) if (tensorNames(layer).length > 0) held.set(layer.name, await store.get(layer, backend));
  // Statistics of batch normalisation are kept, not trained.
  const isTrained = (name: string) => name !== 'mean' && name !== 'variance';
  const trained = [...held.values()].flatMap(({ weight, others }) => [
    ...weight,
    ...[...others].flatMap(([name, tensor]) => (isTrained(name) ? [tensor] : [])),
  ]);
  const lossOf = (x: tf.Tensor4D): tf.Scalar => tf.mul(0.5, tf.sum(tf.square(activations(plan, x, [tap], held)[tap])));
  const gradientsOf = (x: tf.Tensor4D): tf.Tensor[] => {
    const { value, grads } = chainGradients(() => lossOf(x), trained);
    value.dispose();
    return grads;
  };
  /** Added to those of the portions before; the loss of a batch is the sum of its portions'. */
  const added = (before: readonly tf.Tensor[], found: readonly tf.Tensor[]): tf.Tensor[] => {
    try {
      return found.map((each, i) => tf.add(before[i], each));
    } finally {
      for (const each of found) each.dispose();
    }
  };
  const inputs = [...portionsOf(values, shape, portion)].map((each) => backend.run(() => tf.tensor4d(each.x, each.shape)));
  return {
    async run() {
      let sums: tf.Tensor[] = [];
      try {
        for (const x of inputs) {
          const found = backend.run(() => gradientsOf(x));
          const before = sums;
          sums = before.length === 0 ? found : backend.run(() => added(before, found));
          for (const each of before) each.dispose();
        }
        await backend.read(sums.reduce((least, each) => (each.size < least.size ? each : least)));
        await backend.settle();
      } finally {
        for (const each of sums) each.dispose();
      }
    },
    dispose() {
      for (const x of inputs) x.dispose();
    },
  };
}

export const passes = { forward: forwardPass, 'forward-backward': backwardPass } as const;
