import { expect, it } from 'vitest';
import { SMALL_PLAN, smallFile } from '../../test/small-weights.js';
import { load } from '../load.js';

/** A model whose weights, once it is open, are read only when `release` is called. */
async function heldModel() {
  const bytes = await smallFile(SMALL_PLAN);
  let release = () => {};
  let gate: Promise<void> | undefined;
  const source = {
    name: 'slow.safetensors',
    size: bytes.length,
    read: async (offset: number, length: number) => {
      await gate;
      return bytes.slice(offset, offset + length);
    },
  };
  const model = await load(undefined, { weights: source, backend: 'cpu' });
  gate = new Promise((resolve) => {
    release = resolve;
  });
  return { model, release };
}

it('two calls that need the same weights: one that stops does not stop the other', async () => {
  const { model, release } = await heldModel();
  const first = new AbortController();
  const stopped = model.ready('relu1_2', { signal: first.signal });
  const other = model.ready('relu1_2');
  first.abort();
  release();
  await expect(stopped).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  await other;
  model.dispose();
});

it('a call that waits for weights that another reads stops at once', async () => {
  const { model, release } = await heldModel();
  const first = model.ready('relu1_1');
  const second = new AbortController();
  const waiting = model.ready('relu1_1', { signal: second.signal });
  second.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  // Until now no byte was read.
  release();
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
