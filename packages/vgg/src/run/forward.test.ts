import { expect, it } from 'vitest';
import { SMALL_PLAN, smallFile } from '../../test/small-weights.js';
import { load } from '../load.js';

it('many small pictures in a row let the event loop turn, so that an abort is seen', async () => {
  const model = await load(undefined, { weights: await smallFile(SMALL_PLAN), backend: 'wasm', layers: 'pool1' });
  const picture = { width: 8, height: 8, channels: 3 as const, data: new Uint8Array(192) };
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 100);
  const reading = (async () => {
    for await (const _ of model.extractAll(Array(100_000).fill(picture), ['pool1'], { size: 8, signal: controller.signal })) {
      // Until stopped.
    }
  })();
  await expect(reading).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  model.dispose();
});
