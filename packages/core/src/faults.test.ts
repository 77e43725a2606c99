import { expect, it } from 'vitest';
import { Faults } from './faults.js';

it('each reader sees each fault once, and none from before it', () => {
  const faults = new Faults();
  const first = faults.reader('webgpu');
  faults.report({ kind: 'error', message: 'binding too large' });
  const second = faults.reader('webgpu');
  expect(first).toThrow('webgpu: the device refused an operation (binding too large), so the results since the last check are void');
  first();
  second();
  faults.report({ kind: 'memory', message: 'no room' });
  expect(second).toThrow(expect.objectContaining({ code: 'VGG_MEMORY' }));
  expect(first).toThrow('out of memory (no room)');
});

it('of many faults the first since the last check is named', () => {
  const faults = new Faults();
  const check = faults.reader('webgpu');
  for (let i = 0; i < 1000; i++) faults.report({ kind: 'error', message: `number ${i}` });
  expect(check).toThrow('number 0');
  check();
  faults.report({ kind: 'error', message: 'another' });
  expect(check).toThrow('another');
});

it('a lost device stays lost, for every reader', () => {
  const faults = new Faults();
  const check = faults.reader('webgpu');
  faults.report({ kind: 'lost', message: 'the driver was restarted' });
  for (let i = 0; i < 2; i++) expect(check).toThrow('webgpu: the device was lost (the driver was restarted)');
  expect(faults.reader('webgpu')).toThrow(expect.objectContaining({ code: 'VGG_BACKEND' }));
});
