import { describe, expect, it } from 'vitest';
import { colours, PixelEmbedder } from '../../../test/pixel-embedder.js';
import { computeFeatures } from './features.js';
import { trainHead } from './train-head.js';

describe('computeFeatures', () => {
  it('stops at once while the weights are still being read', async () => {
    class Slow extends PixelEmbedder {
      override fingerprint(): Promise<string> {
        return new Promise(() => {});
      }
    }
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 10);
    const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(4000)]);
    await expect(computeFeatures(new Slow(), colours(2), { signal })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  }, 2000);
});

describe('trainHead', () => {
  for (const solver of ['lbfgs', 'adam'] as const) {
    it(`refuses features that are not finite (${solver})`, async () => {
      const model = new PixelEmbedder();
      const features = await computeFeatures(model, colours(4));
      features.vectors[5] = Number.NaN;
      await expect(trainHead(model, features, { solver, epochs: 3 })).rejects.toMatchObject({
        code: 'VGG_HEAD',
        message: expect.stringContaining('finite'),
      });
    });
  }
});
