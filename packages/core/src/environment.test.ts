import { expect, it } from 'vitest';
import { currentEnvironment } from './environment.js';

it.runIf(typeof document === 'undefined')('counts the processors of this machine, in Node 20 too', async () => {
  const { availableParallelism } = await import('node:os');
  expect(currentEnvironment().cores).toBe(availableParallelism());
});
