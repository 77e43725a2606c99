import { expect, test } from 'vitest';
import { smallFile } from '../../test/small-weights.js';
import { load } from '../load.js';

test('in Node a worker is refused with a sentence', async () => {
  const weights = await smallFile();
  for (const worker of [true, () => undefined as never])
    await expect(load(undefined, { weights, worker })).rejects.toMatchObject({
      code: 'VGG_OPTION',
      message: 'load: expected worker in a page only, received it in Node; leave it out',
    });
  const model = await load(undefined, { weights, backend: 'cpu', worker: false });
  expect(model.backend.name).toBe('cpu');
  model.dispose();
});
