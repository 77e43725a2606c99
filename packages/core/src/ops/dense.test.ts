import { slice, type Tensor, type Tensor2D, zeros } from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { describeEachBackend } from '../../test/backends.js';
import { checkOp, noise } from '../../test/check-op.js';
import { referenceDense } from '../kernels/reference.js';
import { dense } from './dense.js';
import { splitRows } from './split-rows.js';

const CASES = [
  { batch: 1, inputs: 12, outputs: 7 },
  { batch: 3, inputs: 64, outputs: 10 },
  { batch: 2, inputs: 33, outputs: 1 },
  { batch: 1, inputs: 2304, outputs: 160 },
];

describeEachBackend('dense', (backend) => {
  for (const { batch, inputs, outputs } of CASES) {
    for (const activation of ['linear', 'relu'] as const) {
      for (const count of [1, 3]) {
        it(`[${batch}, ${inputs}] with [${inputs}, ${outputs}] in ${count} blocks, ${activation}`, async () => {
          const blocks = splitRows(inputs, outputs, Math.ceil(inputs / count) * outputs * 4);
          expect(blocks).toHaveLength(count);
          await checkOp(backend(), {
            inputs: [noise([batch, inputs], 1), noise([inputs, outputs], 2), noise([outputs], 3)],
            op: (x, w, b) => {
              const parts = blocks.map(({ start, rows }) => slice(w as Tensor2D, [start, 0], [rows, outputs]));
              const y = dense(x as Tensor2D, count === 1 ? w : parts, b, { activation });
              return y;
            },
            reference: (x, w, b) => referenceDense(x, w, b.data, { activation }),
          });
        });
      }
    }
  }

  it('without bias', async () => {
    await checkOp(backend(), {
      inputs: [noise([2, 9], 1), noise([9, 4], 2)],
      op: (x, w) => dense(x as Tensor2D, w, null),
      reference: (x, w) => referenceDense(x, w, null),
    });
  });

  it('says which shape was expected', () => {
    const run = (x: number[], weights: number[][], bias: number[]) => () =>
      backend().run(() => {
        const made: Tensor[] = [x, ...weights, bias].map((shape) => zeros(shape));
        try {
          dense(made[0] as Tensor2D, made.slice(1, -1), made[made.length - 1]);
        } finally {
          for (const used of made) used.dispose();
        }
      });
    expect(run([1, 8], [[4, 3], [5, 3]], [3])).toThrow('dense: expected input [N, 9], received [1, 8]'); // biome-ignore format: one shape each
    expect(run([1, 8], [[4, 3], [4, 2]], [3])).toThrow('dense: expected each block of weights [I, 3], received [4, 2]'); // biome-ignore format: one shape each
    expect(run([1, 8], [[8, 3]], [4])).toThrow('dense: expected bias [3], received [4]');
    expect(run([1, 8], [], [4])).toThrow('dense: expected weights [I, K] or blocks of its rows, received an empty list');
  });
});
