import { safetensorsHeader, writeSafetensors } from '@vgg/loaders';
import { beforeAll, describe, expect, it } from 'vitest';
import { bytesOfCheckpoint, stateAfter } from '../../test/train/checkpoints.js';
import { load } from '../load.js';
import { random } from '../random.js';
import { type Checkpoint, readCheckpoint } from './checkpoint.js';

const state = stateAfter(3, 4);
let bytes: Uint8Array;
beforeAll(async () => {
  bytes = await bytesOfCheckpoint(state);
});

/** All that a checkpoint says, as plain values. */
async function contents(checkpoint: Checkpoint) {
  const weights = await Promise.all([...checkpoint.weights].map(async ([name, shape]) => [name, shape, await checkpoint.readWeight(name)]));
  const optimizer = await Promise.all(
    [...checkpoint.optimizer].map(async ([name, shape]) => [name, shape, await checkpoint.readOptimizer(name)]),
  );
  return { run: checkpoint.run, plan: checkpoint.network.plan, about: [...checkpoint.about], weights, optimizer };
}

const headerBytes = () => 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));

describe('a checkpoint', () => {
  it('is read as it was written, to the bit', async () => {
    const checkpoint = await readCheckpoint(bytes);
    expect(await contents(checkpoint)).toEqual({
      run: state.run,
      plan: state.network.plan,
      about: Object.entries(state.about!),
      weights: await Promise.all(state.weights.map(async ({ name, shape, values }) => [name, shape, await values()])),
      optimizer: await Promise.all(state.optimizer.map(async ({ name, shape, values }) => [name, shape, await values()])),
    });
    await checkpoint.close();
  });

  it('of the same run has the same bytes', async () => {
    expect(await bytesOfCheckpoint(stateAfter(3, 4))).toEqual(bytes);
    expect(await bytesOfCheckpoint(stateAfter(3, 5))).not.toEqual(bytes);
  });

  it('opens as weights too', async () => {
    const model = await load(undefined, { weights: bytes.slice(), backend: 'cpu' });
    expect(model.network.plan).toEqual(state.network.plan);
    await model.dispose();
  });

  it.each([0, 5, 8, 100, 1000, 0.5, 0.9, -1])('cut at %d is refused', async (at) => {
    const length = at < 0 ? bytes.length + at : at < 1 && at > 0 ? Math.floor(at * bytes.length) : at;
    await expect(readCheckpoint(bytes.slice(0, length))).rejects.toMatchObject({ code: expect.stringMatching(/^VGG_(INTEGRITY|FORMAT)$/) });
  });

  it('with any bit of its tensors flipped is refused, and without checking it, when the tensor is read', async () => {
    const rng = random(1);
    const start = headerBytes();
    for (let i = 0; i < 40; i++) {
      const damaged = bytes.slice();
      damaged[start + rng.below(bytes.length - start)]! ^= 1 << rng.below(8);
      await expect(readCheckpoint(damaged)).rejects.toMatchObject({ code: 'VGG_INTEGRITY' });
      const unchecked = await readCheckpoint(damaged, { verify: false });
      await expect(contents(unchecked)).rejects.toMatchObject({ code: 'VGG_INTEGRITY', message: expect.stringContaining('sha256') });
      await unchecked.close();
    }
  });

  it('with a bit of its header flipped is refused, or says the same', async () => {
    const whole = await contents(await readCheckpoint(bytes));
    const rng = random(2);
    const codes = new Set<string>();
    for (let i = 0; i < 400; i++) {
      const damaged = bytes.slice();
      // The length first, byte by byte.
      damaged[i < 8 ? i : rng.below(headerBytes())]! ^= 1 << rng.below(8);
      const found = await readCheckpoint(damaged).then(contents, (error) => {
        codes.add(error.code);
      });
      if (found) expect(found).toEqual(whole);
    }
    expect([...codes].filter((code) => code !== 'VGG_INTEGRITY' && code !== 'VGG_FORMAT')).toEqual([]);
    expect(codes.size).toBe(2);
  });

  it('is told from other files', async () => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of writeSafetensors([{ name: 'x', shape: [1], values: async () => Float32Array.of(1) }])) chunks.push(chunk);
    const other = new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
    await expect(readCheckpoint(other)).rejects.toMatchObject({
      code: 'VGG_FORMAT',
      message: 'bytes: expected a checkpoint, received safetensors without "vgg.checkpoint"; are these weights?',
    });
    await expect(readCheckpoint(safetensorsHeader([], { 'vgg.checkpoint': '2' }))).rejects.toMatchObject({
      code: 'VGG_FORMAT',
      message: 'bytes: expected a checkpoint of format 1, received "2"; a newer vgg wrote it',
    });
    await expect(readCheckpoint(new TextEncoder().encode('a picture'))).rejects.toMatchObject({ code: 'VGG_FORMAT' });
  });

  it.each([
    ['epoch', -1],
    ['step', 1.5],
    ['seed', 'one'],
    ['random', { dropout: [1, 2, 3, 2 ** 32] }],
    ['random', { dropout: [1, 2, 3] }],
    ['optimizerSteps', { 'fc6.weight': 0.5 }],
    ['options', []],
    ['history', {}],
    ['history', [{ epoch: 1 }]],
    ['best', { ...state.run.best, valLoss: 'low' }],
    ['schedule', null],
  ])('with %s = %j is refused, although its digests are right', async (name, value) => {
    const odd = await bytesOfCheckpoint({ ...state, run: { ...state.run, [name]: value } as never });
    await expect(readCheckpoint(odd)).rejects.toMatchObject({
      code: 'VGG_FORMAT',
      message: expect.stringContaining(' in the checkpoint, received '),
    });
  });

  it('whose values do not fit their shapes is not written', async () => {
    const weights = [{ name: 'conv1_1.bias', shape: [8], values: async () => new Float32Array(7) }];
    await expect(bytesOfCheckpoint({ ...state, weights })).rejects.toMatchObject({ code: 'VGG_SHAPE' });
    const stray = [{ name: 'optimizer.bias', shape: [1], values: async () => new Float32Array(1) }];
    await expect(bytesOfCheckpoint({ ...state, weights: stray })).rejects.toMatchObject({ code: 'VGG_OPTION' });
  });

  it('stops when it is told to', async () => {
    await expect(readCheckpoint(bytes, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  });
});
