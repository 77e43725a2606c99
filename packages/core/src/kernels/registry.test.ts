import { getKernel } from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { describeEachBackend } from '../../test/backends.js';
import { KERNELS } from './registry.js';

describeEachBackend('the table of kernels', (backend) => {
  for (const { op, forward, gradient } of KERNELS) {
    it(`${op}: the kernels of tfjs that it names are registered`, () => {
      const { name } = backend();
      const named = [forward[name], gradient[name]].flatMap((text) => text.split(/, | or /));
      const ofTfjs = named.filter((kernel) => !kernel.startsWith('vgg:'));
      expect(ofTfjs.filter((kernel) => !getKernel(kernel, name))).toEqual([]);
    });
  }
});
