import { isVggError, VggError } from '@vgg/errors';
import { expect, test } from 'vitest';
import { receiveError, sendError } from './errors.js';
import { transferables } from './transferables.js';

const crossed = (error: unknown) => receiveError(structuredClone(sendError(error)));

test('an error crosses with its class, code, sentence and causes', () => {
  const cause = new TypeError('no route', { cause: 'a text' });
  const received = crossed(new VggError('VGG_NETWORK', 'load: no answer', { cause }));
  expect(isVggError(received, 'VGG_NETWORK')).toBe(true);
  expect(received.message).toBe('load: no answer');
  expect(received.cause).toMatchObject({ name: 'TypeError', message: 'no route', stack: cause.stack });
  expect((received.cause as Error).cause).toMatchObject({ message: 'a text' });
  expect(crossed(cause)).toMatchObject({ name: 'TypeError', message: 'no route' });
  expect(isVggError(crossed(cause))).toBe(false);
  expect(crossed('thrown text')).toMatchObject({ message: 'thrown text' });
});

test('whole buffers are moved, each once; parts of one are copied', () => {
  const shared = new Float32Array(4);
  const map = { layer: 'pool3', shape: [1, 2, 2, 1], data: shared };
  const part = new Float32Array(8).subarray(2, 4);
  const value = {
    index: 0,
    features: { pool3: map, flatten: { ...map, data: new Float32Array(shared.buffer) } },
    others: [part, null, 'x'],
  };
  expect(transferables(value)).toEqual([shared.buffer]);
  const there = structuredClone(value, { transfer: transferables(value) });
  expect(shared.length).toBe(0);
  expect(there.features.pool3.data.buffer).toBe(there.features.flatten.data.buffer);
  expect(part.length).toBe(2);
});
