import { expect, it } from 'vitest';
import { SMALL_PLAN, smallFile } from '../../test/small-weights.js';
import { load } from '../load.js';

async function slowModel(milliseconds: number) {
  const bytes = await smallFile(SMALL_PLAN);
  let slow = false;
  const source = {
    name: 'slow.safetensors',
    size: bytes.length,
    read: async (offset: number, length: number) => {
      if (slow) await new Promise((resolve) => setTimeout(resolve, milliseconds));
      return bytes.slice(offset, offset + length);
    },
  };
  const model = await load(undefined, { weights: source, backend: 'cpu' });
  slow = true;
  return model;
}

it('two calls that need the same weights: one that stops does not stop the other', async () => {
  const model = await slowModel(20);
  const first = new AbortController();
  const stopped = model.ready('relu1_2', { signal: first.signal });
  const other = model.ready('relu1_2');
  setTimeout(() => first.abort(), 5);
  await expect(stopped).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  await other;
  model.dispose();
});

it('a call that waits for weights that another reads stops at once', async () => {
  const model = await slowModel(300);
  const first = model.ready('relu1_1');
  const second = new AbortController();
  const waiting = model.ready('relu1_1', { signal: second.signal });
  const start = performance.now();
  setTimeout(() => second.abort(), 20);
  await expect(waiting).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  expect(performance.now() - start).toBeLessThan(200);
  await first;
  model.dispose();
});

it.runIf(typeof process !== 'undefined')('a file that does not close makes no unhandled rejection', async () => {
  const bytes = await smallFile(SMALL_PLAN);
  const weights = {
    name: 'stuck.safetensors',
    size: bytes.length,
    read: async (offset: number, length: number) => bytes.slice(offset, offset + length),
    close: () => Promise.reject(new Error('stuck')),
  };
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  try {
    const model = await load(undefined, { weights, backend: 'cpu' });
    model.dispose();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(unhandled).toEqual([]);
  } finally {
    process.removeListener('unhandledRejection', note);
  }
});
