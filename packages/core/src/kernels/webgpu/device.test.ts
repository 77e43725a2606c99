import { backend as activeBackend, type Tensor2D, type Tensor4D, tensor, zeros } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Backend, openBackend } from '../../backend.js';
import { conv2d } from '../../ops/conv2d.js';
import { dense } from '../../ops/dense.js';
import { splitRows } from '../../ops/split-rows.js';
import { probeBackend } from '../../probe.js';
import { selfTest } from '../../self-test.js';
import { maximumDifference } from '../reference.js';

const MIB = 2 ** 20;
const report = await probeBackend('webgpu');

describe.skipIf(!report.available)(`a WebGPU device that binds 128 MiB${report.available ? '' : `: ${report.reason}`}`, () => {
  let backend: Backend;
  const device = () => backend.run(() => (activeBackend() as unknown as { device: GPUDevice }).device);
  beforeAll(async () => {
    backend = await openBackend('webgpu', { maxBindingBytes: 128 * MIB });
  });
  afterAll(async () => {
    device().destroy();
  });

  it('says so, and what it is', () => {
    expect(backend.info.limits?.maxBindingBytes).toBe(128 * MIB);
    expect(backend.info.adapter?.vendor).toBeTruthy();
    expect(backend.info.software).toBe(report.software);
  });

  it('passes the self-test', async () => {
    await selfTest(backend);
  });

  it('a matrix of 136 MiB is refused whole, by name, and computed in blocks', async () => {
    const [rows, columns] = [8704, 4096];
    const x = backend.run(() =>
      tensor(
        Float32Array.from({ length: rows }, (_, i) => ((i * 7) % 11) - 5),
        [1, rows],
      ),
    ) as Tensor2D;
    const whole = zeros([rows, columns]);
    expect(() => backend.run(() => dense(x, whole, null))).toThrow(
      "dense: expected weights of at most 128 MiB (the device's limit for one tensor), received [8704, 4096], 136 MiB",
    );
    whole.dispose();
    const blocks = backend.run(() =>
      splitRows(rows, columns, 128 * MIB).map(({ start, rows }) =>
        tensor(
          Float32Array.from({ length: rows * columns }, (_, i) => (((start * columns + i) * 13) % 17) - 8),
          [rows, columns],
        ),
      ),
    );
    expect(blocks).toHaveLength(2);
    const y = backend.run(() => dense(x, blocks, null));
    const values = await backend.read(y);
    const expected = Float64Array.from({ length: columns }, (_, k) => {
      let sum = 0;
      for (let i = 0; i < rows; i++) sum += (((i * 7) % 11) - 5) * ((((i * columns + k) * 13) % 17) - 8);
      return sum;
    });
    expect(maximumDifference(values, expected)).toBeLessThan(1e-4);
    for (const used of [x, y, ...blocks]) used.dispose();
  });

  it('a map of 200 MiB is refused before it is computed', () => {
    const x = zeros([1, 1024, 800, 64]) as Tensor4D;
    const filter = zeros([3, 3, 64, 8]) as Tensor4D;
    expect(() => backend.run(() => conv2d(x, filter, null))).toThrow('conv2d: expected input of at most 128 MiB');
    x.dispose();
    filter.dispose();
  });

  it('an operation that the device refuses is an error at the next read, not zeros', async () => {
    const x = backend.run(() => tensor([1, 2]));
    const buffer = device().createBuffer({ size: 16, usage: 4 /* COPY_SRC alone */ });
    const encoder = device().createCommandEncoder();
    encoder.clearBuffer(buffer);
    device().queue.submit([encoder.finish()]);
    await expect(backend.settle()).rejects.toThrow(/^webgpu: the device refused an operation \(/);
    expect(Array.from(await backend.read(x))).toEqual([1, 2]);
    x.dispose();
  });

  it('a lost device is an error for its handles, and the next open has a new one', async () => {
    const lost = device();
    lost.destroy();
    await lost.lost;
    expect(() => backend.check()).toThrow('webgpu: the device was lost (');
    backend = await openBackend('webgpu', { maxBindingBytes: 128 * MIB });
    expect(device()).not.toBe(lost);
    await selfTest(backend);
  });
});
