import { describeEachBackend } from '@vgg/core/testing';
import { describe, expect, it } from 'vitest';
import { io } from '#io';
import golden from '../../test/embedded/fixtures/pytorch.json' with { type: 'json' };
import { load } from '../load.js';
import { network } from '../network/architecture.js';
import { openEmbedded } from './embedded.js';
import { publishedSet } from './published.js';

const NAMES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];

/** The picture of make_pytorch.py. */
const RAMP = {
  width: 32,
  height: 32,
  channels: 3 as const,
  data: Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (7 * Math.floor(i / 96) + 3 * (Math.floor(i / 3) % 32) + 50 * (i % 3)) % 256),
};
const unreachable = () => Promise.reject(new Error('nothing is to be fetched'));
const close = (actual: number, expected: number, scale = Math.abs(expected)) =>
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-4 * Math.max(scale, 1));

describe('the weights inside the package', () => {
  it('are those whose hash is known', async () => {
    const set = publishedSet('compact');
    const source = await openEmbedded(set);
    expect(source.size).toBe(set.bytes);
    const hash = io.hash('sha256');
    hash.update(await source.read(0, source.size));
    expect(hash.digest()).toBe(set.hash!.value);
  });

  it('are of the architecture of their name, and tell of themselves', async () => {
    const model = await load(undefined, { fetch: unreachable, offline: true });
    expect(model.network.plan).toEqual(network('compact').plan);
    expect(model.weights).toMatchObject({ name: 'compact.cifar10', licence: 'Apache-2.0', unknown: [] });
    expect((await model.classNames())?.map(({ label }) => label)).toEqual(NAMES);
    expect(model.preprocessing).toMatchObject({ resize: { mode: 'squash', size: 32 }, scale: 1 / 255 });
    model.dispose();
  });

  it.each([
    ['compact', undefined],
    [undefined, 'compact'],
    [undefined, 'compact.cifar10'],
    ['compact', 'compact.cifar10'],
  ])('load(%j, { weights: %j })', async (arch, weights) => {
    const model = await load(arch, { ...(weights && { weights }), fetch: unreachable });
    expect(model.weights.name).toBe('compact.cifar10');
    model.dispose();
  });
});

describeEachBackend('the weights inside the package', (backend) => {
  it('give what PyTorch makes of them at every layer', async () => {
    const model = await load(undefined, { backend: backend().name });
    const maps = await model.extract(RAMP, Object.keys(golden.layers));
    for (const [layer, [mean, most]] of Object.entries(golden.layers)) {
      const { data } = maps[layer]!;
      close(data.reduce((sum, value) => sum + value, 0) / data.length, mean!);
      close(
        data.reduce((a, b) => Math.max(a, b)),
        most!,
      );
    }
    const found = (await model.classify(RAMP, { top: 10 })).toSorted((a, b) => a.index - b.index);
    const scale = Math.max(...golden.scores.map(Math.abs));
    for (const [i, { logit, label }] of found.entries()) {
      close(logit!, golden.scores[i]!, scale);
      expect(label).toBe(NAMES[i]);
    }
    model.dispose();
    await new Promise((resolve) => setTimeout(resolve));
  });
});
