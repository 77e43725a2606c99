import { expect, test } from 'vitest';
import { standardNormal } from '../normal.js';
import { random } from '../random.js';
import type { Picture } from './picture.js';
import { channelStatistics, colourPrincipalComponents } from './statistics.js';

const picture = (...data: number[]): Picture => ({ width: data.length / 3, height: 1, data: Uint8Array.from(data) });

test('channel statistics are those of all pixels together, however they are cut into pictures', async () => {
  const whole = await channelStatistics([picture(0, 10, 255, 51, 10, 255, 102, 10, 0)]);
  expect(whole.mean.map((value) => value * 255)).toEqual([51, 10, 170].map((value) => expect.closeTo(value, 10)));
  expect(whole.std.map((value) => value * 255)).toEqual([Math.sqrt(1734), 0, Math.sqrt(14450)].map((value) => expect.closeTo(value, 8)));
  async function* parts() {
    yield picture(0, 10, 255);
    yield picture(51, 10, 255, 102, 10, 0);
  }
  expect(await channelStatistics(parts())).toEqual(whole);
});

test('no pictures are refused', async () => {
  await expect(channelStatistics([])).rejects.toMatchObject({ code: 'VGG_DATASET' });
});

test('principal components are orthonormal, ordered, and give the covariance back', async () => {
  const draw = standardNormal(random(2));
  const data: number[] = [];
  for (let i = 0; i < 4000; i++) {
    const [bright, warm, own] = [30 * draw(), 12 * draw(), 4 * draw()];
    data.push(...[120 + bright + warm + own, 120 + bright, 120 + bright - warm].map((v) => Math.max(0, Math.min(255, Math.round(v)))));
  }
  const { eigenvalues, eigenvectors } = await colourPrincipalComponents([picture(...data)]);
  expect([...eigenvalues].sort((a, b) => b - a)).toEqual(eigenvalues);
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, k) => sum + value * b[k]!, 0);
  eigenvectors.forEach((a, i) => {
    eigenvectors.forEach((b, j) => {
      expect(dot(a, b)).toBeCloseTo(i === j ? 1 : 0, 12);
    });
  });
  for (const [row, column] of [
    [0, 0],
    [0, 1],
    [2, 1],
  ] as const) {
    const mean = (c: number) => data.reduce((sum, value, i) => (i % 3 === c ? sum + value : sum), 0) / 4000;
    const [a, b] = [mean(row), mean(column)];
    let covariance = 0;
    for (let i = 0; i < data.length; i += 3) covariance += ((data[i + row]! - a) * (data[i + column]! - b)) / 4000 / 255 ** 2;
    const rebuilt = eigenvalues.reduce((sum, value, k) => sum + value * eigenvectors[k]![row]! * eigenvectors[k]![column]!, 0);
    expect(rebuilt).toBeCloseTo(covariance, 12);
  }
  // Brightness is what varies most.
  for (const part of eigenvectors[0]) expect(part).toBeGreaterThan(0.4);
});

test('pixels of one grey have no components', async () => {
  expect((await colourPrincipalComponents([picture(7, 7, 7, 7, 7, 7)])).eigenvalues).toEqual([0, 0, 0]);
});
