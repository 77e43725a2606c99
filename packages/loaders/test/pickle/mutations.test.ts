import { isVggError } from '@vgg/errors';
import { expect, test } from 'vitest';
import { openObjectNpy } from '../../src/formats/pickle/object-npy.js';
import { pickledArrays } from '../../src/formats/pickle/pickled-arrays.js';
import { torchLegacy } from '../../src/formats/torch/legacy.js';
import { openTorchZip } from '../../src/formats/torch/zip.js';
import { openZip } from '../../src/formats/zip/index.js';
import { bytesSource, type WeightFile } from '../../src/index.js';
import { fixture } from '../helpers.js';
import { random } from '../random.js';

/** How each fixture is opened. */
const READERS: Record<string, (bytes: Uint8Array) => Promise<WeightFile>> = {
  'torch/pth-legacy.pth': (bytes) => torchLegacy.open(bytesSource(bytes)),
  'torch/pth-bn-legacy.pth': (bytes) => torchLegacy.open(bytesSource(bytes)),
  'torch/pth-views-legacy.pth': (bytes) => torchLegacy.open(bytesSource(bytes)),
  'torch/pth-checkpoint.pth': async (bytes) => openTorchZip(await openZip(bytesSource(bytes)), bytesSource(bytes)),
  'torch/pth-script.pt': async (bytes) => openTorchZip(await openZip(bytesSource(bytes)), bytesSource(bytes)),
  'pickle/object-2.npy': (bytes) => openObjectNpy(bytesSource(bytes), 128, 'x'),
  'pickle/object-python2.npy': (bytes) => openObjectNpy(bytesSource(bytes), 128, 'x'),
  'pickle/arrays-5.pkl': (bytes) => pickledArrays.open(bytesSource(bytes)),
};

test.each(Object.keys(READERS))('300 mutations of %s give values or a VggError', async (name) => {
  const bytes = await fixture(name);
  const next = random(1);
  // The pickle is at the beginning of all of these; its arrays' values are of no interest.
  const reach = Math.min(bytes.length, 1800);
  let refused = 0;
  for (let round = 0; round < 300; round++) {
    const mutated = bytes.slice(0, next() < 0.1 ? Math.floor(next() * bytes.length) : bytes.length);
    for (let changes = 1 + Math.floor(next() * 3); changes > 0; changes--) {
      const at = Math.min(Math.floor(next() * reach), mutated.length - 1);
      if (next() < 0.5) mutated[at] = Math.floor(next() * 256);
      else mutated[at]! ^= 1 << Math.floor(next() * 8);
    }
    try {
      const file = await READERS[name]!(mutated);
      for (const tensor of file.tensors.values()) {
        if (!tensor.present) continue;
        const values = await file.read(tensor.name);
        expect(values.length).toBeLessThan(2 ** 21);
      }
    } catch (error) {
      if (!isVggError(error)) throw error;
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(40);
});
