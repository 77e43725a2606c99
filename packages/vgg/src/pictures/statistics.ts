import { VggError } from '@vgg/errors';
import type { ColourComponents } from './augment.js';
import type { Picture } from './picture.js';

type Three = [number, number, number];
type Pictures = Iterable<Picture> | AsyncIterable<Picture>;

/** Mean and (population) standard deviation of each channel over all pixels, of values scaled to 0..1. */
export interface ChannelStatistics {
  readonly mean: Readonly<Three>;
  readonly std: Readonly<Three>;
}

/**
 * The `mean` and `std` to normalise pictures by, over all their pixels; each picture is looked at once and let go.
 *
 * @throws VggError `VGG_DATASET` for no pictures
 * @example
 * await channelStatistics(cifar10); // { mean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616] }
 */
export async function channelStatistics(pictures: Pictures): Promise<ChannelStatistics> {
  const { mean, covariance } = await momentsOf(pictures, 'channelStatistics');
  return {
    mean: mean.map((value) => value / 255) as Three,
    std: [0, 1, 2].map((c) => Math.sqrt(covariance[c]![c]!) / 255) as Three,
  };
}

/**
 * The principal components of the pictures' pixels, for the colour shift of {@link augment}: eigenvalues and eigenvectors of the 3 x 3
 * covariance of red, green and blue scaled to 0..1, largest first, each vector with its largest part above 0.
 *
 * @throws VggError `VGG_DATASET` for no pictures
 * @example
 * const colour = { deviation: 0.1, ...(await colourPrincipalComponents(pictures)) };
 */
export async function colourPrincipalComponents(pictures: Pictures): Promise<ColourComponents> {
  const { covariance } = await momentsOf(pictures, 'colourPrincipalComponents');
  const { values, vectors } = eigenvectors(covariance.map((row) => row.map((value) => value / 255 ** 2)));
  const order = [0, 1, 2].sort((a, b) => values[b]! - values[a]!);
  return {
    eigenvalues: order.map((k) => Math.max(0, values[k]!)) as Three,
    eigenvectors: order.map((k) => facing(vectors[k]!)) as [Three, Three, Three],
  };
}

/** Mean and covariance of the pixels in levels. The sums are of whole numbers and stay exact up to 2^53: 10^11 pixels. */
async function momentsOf(pictures: Pictures, who: string): Promise<{ mean: number[]; covariance: number[][] }> {
  const sums = new Float64Array(3);
  const products = new Float64Array(9);
  let pixels = 0;
  for await (const { data } of pictures) {
    let [r, g, b, rr, gg, bb, rg, rb, gb] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i < data.length; i += 3) {
      const [red, green, blue] = [data[i]!, data[i + 1]!, data[i + 2]!];
      r += red;
      g += green;
      b += blue;
      rr += red * red;
      gg += green * green;
      bb += blue * blue;
      rg += red * green;
      rb += red * blue;
      gb += green * blue;
    }
    [r, g, b].forEach((sum, c) => {
      sums[c]! += sum;
    });
    [rr, rg, rb, rg, gg, gb, rb, gb, bb].forEach((sum, at) => {
      products[at]! += sum;
    });
    pixels += data.length / 3;
  }
  if (pixels === 0) throw new VggError('VGG_DATASET', `${who}: expected pictures, received none`);
  const mean = [...sums].map((sum) => sum / pixels);
  const at = (row: number, column: number) => products[3 * row + column]! / pixels - mean[row]! * mean[column]!;
  return { mean, covariance: [0, 1, 2].map((row) => [0, 1, 2].map((column) => at(row, column))) };
}

/** Jacobi's method for a symmetric 3 x 3 matrix: rotations in one plane after another until nothing is left beside the diagonal. */
function eigenvectors(matrix: number[][]): { values: number[]; vectors: number[][] } {
  const a = matrix.map((row) => [...row]);
  const vectors = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ];
  const planes = [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const;
  for (let sweep = 0; sweep < 30; sweep++) {
    for (const [p, q] of planes) {
      if (a[p]![q] === 0) continue;
      const theta = (a[q]![q]! - a[p]![p]!) / (2 * a[p]![q]!);
      const tangent = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
      const cosine = 1 / Math.hypot(tangent, 1);
      const sine = tangent * cosine;
      for (const row of a) rotate(row, p, q, cosine, sine);
      const [up, uq] = [a[p]!, a[q]!];
      a[p] = up.map((value, k) => cosine * value - sine * uq[k]!);
      a[q] = up.map((value, k) => sine * value + cosine * uq[k]!);
      a[p]![q] = 0;
      a[q]![p] = 0;
      const [vp, vq] = [vectors[p]!, vectors[q]!];
      vectors[p] = vp.map((value, k) => cosine * value - sine * vq[k]!);
      vectors[q] = vp.map((value, k) => sine * value + cosine * vq[k]!);
    }
  }
  return { values: [0, 1, 2].map((k) => a[k]![k]!), vectors };
}

function rotate(row: number[], p: number, q: number, cosine: number, sine: number): void {
  const [x, y] = [row[p]!, row[q]!];
  row[p] = cosine * x - sine * y;
  row[q] = sine * x + cosine * y;
}

/** An axis has no direction; one is chosen, so that results can be compared. */
function facing(axis: number[]): number[] {
  const largest = axis.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
  return largest < 0 ? axis.map((value) => -value) : axis;
}
