import { openBackend } from '@vgg/core';
import { describeEachBackend } from '@vgg/core/testing';
import { describe, expect, it } from 'vitest';
import { noise, SMALL_PLAN, smallFile } from '../test/small-weights.js';
import { load } from './load.js';

const next = noise(5);
const picture = {
  width: 32,
  height: 32,
  channels: 3 as const,
  data: Uint8Array.from({ length: 32 * 32 * 3 }, () => Math.floor((next() + 1) * 127.9)),
};
/** A software GPU takes tens of milliseconds a call: fewer show a leak as well, tensor for tensor. */
const CALLS = { cpu: 1000, wasm: 1000, webgpu: 50 };

describeEachBackend('many calls', (backend) => {
  const { name } = { name: () => backend().name };

  it('leave tensors and memory where they were', async () => {
    const model = await load(undefined, { weights: await smallFile(SMALL_PLAN), backend: name() });
    for (let i = 0; i < 20; i++) await model.extract(picture, ['relu1_1', 'pool3'], { size: 32 });
    const before = backend().memory();
    for (let i = 0; i < CALLS[name()]; i++) await model.extract(picture, ['relu1_1', 'pool3'], { size: 32 });
    const after = backend().memory();
    expect(after.tensors).toBe(before.tensors);
    expect(after.bytes).toBe(before.bytes);
    expect(after.heapBytes).toBe(before.heapBytes);
    model.dispose();
    await new Promise((resolve) => setTimeout(resolve));
  }, 120_000);

  it('that fail or are stopped leave nothing either', async () => {
    const model = await load(undefined, { weights: await smallFile(SMALL_PLAN), backend: name(), layers: 'pool3' });
    const before = backend().memory();
    for (let i = 0; i < 50; i++) {
      const signal = i % 2 ? AbortSignal.abort() : undefined;
      const image = i % 2 ? picture : new Uint8Array([1, 2, 3]);
      await expect(model.extract(image, 'pool3', { size: 32, signal })).rejects.toMatchObject({
        code: i % 2 ? 'VGG_ABORTED' : 'VGG_INPUT',
      });
    }
    expect(backend().memory().tensors).toBe(before.tensors);
    model.dispose();
    await new Promise((resolve) => setTimeout(resolve));
  });

  it('a load that is stopped ends while a read is under way, and leaves nothing', async () => {
    const bytes = await smallFile(SMALL_PLAN);
    let closed = 0;
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const controller = new AbortController();
    const held = {
      name: 'held.safetensors',
      size: bytes.length,
      read: async (offset: number, length: number) => {
        if (offset > 4096) {
          controller.abort();
          await gate;
        }
        return bytes.slice(offset, offset + length);
      },
      close: async () => void closed++,
    };
    const loading = load(undefined, { weights: held, backend: name(), layers: 'pool3', signal: controller.signal });
    await expect(loading).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect(closed).toBe(0);
    release();
    await expect.poll(() => closed).toBe(1);
  });
});

describe('threads', () => {
  /** Wide enough that its layers are shared. */
  const WIDE = { ...SMALL_PLAN, name: 'wide', blocks: [[24, 24], [48], [64, 64]], dense: [600] };
  const wide = smallFile(WIDE);
  const open = async (threads: number, weights?: Uint8Array) =>
    load(undefined, { weights: weights ?? (await wide), backend: 'wasm', threads });
  const disposed = () => new Promise((resolve) => setTimeout(resolve));

  it('of two models are the same ones, and compute the same', async () => {
    const [alone, two, three] = [await open(1), await open(2), await open(3)];
    expect([alone, two, three].map((model) => model.backend.threads)).toEqual([1, 2, 3]);
    const layers = ['pool1', 'pool3', 'prob'];
    const expected = await alone.extract(picture, layers, { size: 32 });
    const both = await Promise.all([two, three, two, three].map((model) => model.extract(picture, layers, { size: 32 })));
    for (const maps of both) for (const layer of layers) expect(maps[layer].data).toEqual(expected[layer].data);
    two.dispose();
    await disposed();
    expect((await three.extract(picture, 'prob', { size: 32 })).data).toEqual(expected.prob.data);
    expect(three.backend.threads).toBe(3);
    three.dispose();
    alone.dispose();
    await disposed();
  });

  it('leave memory flat after hundreds of calls, and after a model is disposed', async () => {
    const backend = await openBackend('wasm', { threads: 3 });
    const start = backend.memory();
    const state = () => {
      const { tensors, bytes, heapBytes } = backend.memory();
      return { tensors, bytes, heapBytes };
    };
    let once: ReturnType<typeof state> | undefined;
    for (let models = 0; models < 4; models++) {
      const model = await open(3);
      for (let i = 0; i < 5; i++) await model.extract(picture, ['relu1_1', 'prob'], { size: 32 });
      const before = state();
      // The second may not fit the holes that the first leaves; from then on each takes another's place, to the byte.
      if (models === 1) once = before;
      if (once) expect(before).toEqual(once);
      for (let i = 0; i < 100; i++) await model.extract(picture, ['relu1_1', 'prob'], { size: 32 });
      expect(state()).toEqual(before);
      model.dispose();
      await disposed();
      expect([backend.memory().tensors, backend.memory().bytes]).toEqual([start.tensors, start.bytes]);
    }
  }, 120_000);
});
