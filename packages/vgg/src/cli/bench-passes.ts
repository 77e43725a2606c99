import * as tf from '@tensorflow/tfjs-core';
import { type Backend, type BackendName, openBackend, registerGradients } from '@vgg/core';
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
  context: Context;
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
  context: { signal, onProgress },
}: PassOptions): Promise<Pass> {
  const [batch, height, width] = shape;
  const placements = place(network, layers, batch, height, width, backend.info);
  const backends = new Map<BackendName, Backend>();
  for (const { backend: name } of placements)
    if (!backends.has(name)) backends.set(name, name === backend.name ? backend : await openBackend(name, { signal }));
  const on = new Map(placements.map((each) => [each.layer, backends.get(each.backend)!]));
  await store.ensure(layers, (layer) => on.get(layer.name)!, { signal, onProgress });
  const taps = new Set([layers.at(-1)!.name]);
  const plan = steps(layers, taps, placements);
  return {
    async run(watch) {
      await forward(plan, values, shape, taps, {
        backend: async (name) => backends.get(name)!,
        weights: (layer, where) => store.get(layer, where),
        signal,
        watch,
      });
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
  context: { signal, onProgress },
}: PassOptions): Promise<Pass> {
  registerGradients();
  const layers = all.filter(({ kind }) => kind !== 'softmax');
  const [batch, height, width] = shape;
  const placements = place(network, layers, batch, height, width, backend.info);
  const tap = layers.at(-1)!.name;
  const plan = steps(layers, new Set([tap]), placements);
  requireOneBackend(plan, backend.name);
  await store.ensure(layers, () => backend, { signal, onProgress });
  const held = new Map<string, LayerWeights>();
  for (const layer of layers) if (tensorNames(layer).length > 0) held.set(layer.name, await store.get(layer, backend));
  // Statistics of batch normalisation are kept, not trained.
  const isTrained = (name: string) => name !== 'mean' && name !== 'variance';
  const trained = [...held].flatMap(([layer, { weight, others }]) => [
    ...weight.map((tensor, i) => ({ layer, part: i as number | string, tensor })),
    ...[...others].filter(([name]) => isTrained(name)).map(([part, tensor]) => ({ layer, part: part as number | string, tensor })),
  ]);
  const x = backend.run(() => tf.tensor4d(values, shape));
  const loss = (...parameters: tf.Tensor[]): tf.Scalar => {
    const weights = new Map([...held].map(([layer, { weight, others }]) => [layer, { weight: [...weight], others: new Map(others) }]));
    trained.forEach(({ layer, part }, i) => {
      const own = weights.get(layer)!;
      if (typeof part === 'number') own.weight[part] = parameters[i];
      else own.others.set(part, parameters[i]);
    });
    return tf.mul(0.5, tf.sum(tf.square(activations(plan, x, [tap], weights)[tap])));
  };
  const gradients = tf.grads(loss as (...args: tf.Tensor[]) => tf.Tensor);
  return {
    async run() {
      const found = backend.run(() => gradients(trained.map(({ tensor }) => tensor)));
      try {
        await backend.read(found.reduce((least, each) => (each.size < least.size ? each : least)));
        await backend.settle();
      } finally {
        for (const each of found) each.dispose();
      }
    },
    dispose: () => x.dispose(),
  };
}

export const passes = { forward: forwardPass, 'forward-backward': backwardPass } as const;
