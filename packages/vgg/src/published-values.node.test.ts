import { existsSync } from 'node:fs';
import { describeEachBackend } from '@vgg/core/testing';
import { describe, expect, it } from 'vitest';
import { load } from './load.js';

const WEIGHTS = '../shared/data/vgg16-tfjs/model.json';
const here = existsSync(WEIGHTS);

/** A 32 x 32 picture whose pixel (y, x, c) is 7y + 3x + 50c, modulo 256. */
const RAMP = {
  width: 32,
  height: 32,
  channels: 3 as const,
  data: Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (7 * Math.floor(i / 96) + 3 * (Math.floor(i / 3) % 32) + 50 * (i % 3)) % 256),
};

/** Mean and maximum of each layer after its ReLU: a float64 numpy forward pass over the real weights. */
const REFERENCE: Record<string, [mean: number, max: number]> = {
  relu1_1: [39.442569834331074, 394.6734862612931],
  relu1_2: [185.93418121200853, 2957.843069614253],
  relu2_1: [287.4533334585015, 6050.2304553005015],
  relu2_2: [451.88197628968055, 9652.594871849446],
  relu3_1: [709.6188531148314, 15388.341186267238],
  relu3_2: [720.0326101682922, 13820.476039921301],
  relu3_3: [502.14324738335915, 18759.302843355174],
};
const POOL3_SUM = 3609459.1588389305;
const POOL3_FIRST = [
  0, 109.38072769551985, 131.22668997361242, 296.3505940789064, 527.9012133806502, 1052.8982495811679, 227.2170708329956, 0,
];

const close = (actual: number, expected: number) =>
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-4 * Math.max(Math.abs(expected), 1));

if (!here) describe.skip(`the real VGG-16: ${WEIGHTS} is not there`, () => it('reads', () => {}));
else {
  describeEachBackend('the real VGG-16', (backend) => {
    it('gives the reference activations of the ramp picture at every layer through pool3', async () => {
      const model = await load('vgg16', { weights: WEIGHTS, backend: backend().name });
      expect(model.deepest).toBe('pool3');
      const maps = await model.extract(RAMP, [...Object.keys(REFERENCE), 'pool3'], { size: 32 });
      for (const [layer, [mean, max]] of Object.entries(REFERENCE)) {
        const { data } = maps[layer];
        close(data.reduce((sum, value) => sum + value, 0) / data.length, mean);
        close(
          data.reduce((a, b) => Math.max(a, b)),
          max,
        );
      }
      close(
        maps.pool3.data.reduce((sum, value) => sum + value, 0),
        POOL3_SUM,
      );
      POOL3_FIRST.forEach((value, channel) => void close(maps.pool3.data[channel], value));
      model.dispose();
      await new Promise((resolve) => setTimeout(resolve));
    });
  });

  describe('the real VGG-16, incomplete', () => {
    it('says exactly what is missing behind the hole', async () => {
      const model = await load('vgg16', { weights: WEIGHTS, backend: 'wasm' });
      await expect(model.extract(RAMP, 'relu4_3', { size: 32 })).rejects.toMatchObject({
        code: 'VGG_WEIGHTS_MISSING',
        message: expect.stringMatching(/conv4_1\.weight.*conv4_2\.weight.*conv4_3\.weight/),
      });
      model.dispose();
    });
  });
}
