import { bytesSource, type NamedValues, writeSafetensors } from '@vgg/loaders';
import { network } from '../src/network/architecture.js';
import type { Network, Plan } from '../src/network/plan.js';
import { weightSpecs } from '../src/weights/specs.js';

/** Numbers that look random and are the same everywhere: a linear congruential generator (Park and Miller 1988) over -1..1. */
export function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 16807) % 2147483647;
    return (state / 2147483647) * 2 - 1;
  };
}

/** A VGG of a few channels, with all that the real one has: three blocks, two dense layers, 32 x 32 pictures. */
export const SMALL_PLAN: Partial<Plan> & Pick<Plan, 'blocks'> = {
  name: 'small',
  blocks: [[8, 8], [12], [16, 16]],
  dense: [20],
  classes: 5,
  size: 32,
};

/** Weights for a network by canonical name, scaled so that activations neither vanish nor explode (He et al. 2015). */
export function smallWeights(net: Network, seed = 7): Map<string, { shape: readonly number[]; values: Float32Array }> {
  const next = noise(seed);
  const weights = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  const add = (name: string, shape: readonly number[], make: () => number) =>
    weights.set(name, { shape, values: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, make) });
  for (const { name, kind, shape } of weightSpecs(net)) {
    const outputs = [shape.at(-1)!];
    if (kind === 'batchnorm') {
      add(`${name}.scale`, outputs, () => 1 + next() / 4);
      add(`${name}.offset`, outputs, () => next() / 4);
      add(`${name}.mean`, outputs, () => next());
      add(`${name}.variance`, outputs, () => 1.5 + next());
    } else {
      const inputs = shape.slice(0, -1).reduce((a, b) => a * b, 1);
      add(`${name}.weight`, shape, () => next() * Math.sqrt(6 / inputs));
      add(`${name}.bias`, outputs, () => next() / 10);
    }
  }
  return weights;
}

/** The same as the bytes of a safetensors file. */
export async function smallFile(
  plan: Partial<Plan> & Pick<Plan, 'blocks'> = SMALL_PLAN,
  metadata: Record<string, string> = {},
  seed?: number,
): Promise<Uint8Array> {
  const net = network(plan);
  const tensors: NamedValues[] = [...smallWeights(net, seed)].map(([name, { shape, values }]) => ({
    name,
    shape,
    values: async () => values,
  }));
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeSafetensors(tensors, { 'vgg.plan': JSON.stringify(net.plan), ...metadata })) chunks.push(chunk);
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

export { bytesSource };
