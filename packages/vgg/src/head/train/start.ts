import { copyNet, type Net } from './net.js';
import type { Rows } from './rows.js';
import type { Standard } from './standardize.js';

/** A head to go on from: its parameters, for features standardised by its own mean and deviation. */
export interface Start {
  readonly standard: Standard;
  readonly net: Net;
  /** The factor in the net's weights. */
  readonly temperature: number;
}

/** The same function of the features as they are, by a net for features that are standardised otherwise. */
function restandardised({ net, standard: from }: Pick<Start, 'net' | 'standard'>, to: Standard): Net {
  const [first, ...rest] = copyNet(net);
  const { inputs, outputs, weights, bias } = first!;
  for (let unit = 0; unit < outputs; unit++) {
    let moved = bias[unit]!;
    for (let i = 0; i < inputs; i++) {
      const raw = weights[unit * inputs + i]! / from.deviation[i]!;
      moved += raw * (to.mean[i]! - from.mean[i]!);
      weights[unit * inputs + i] = raw * to.deviation[i]!;
    }
    bias[unit] = moved;
  }
  return [first!, ...rest];
}

/**
 * The parameters of a linear head in a design's coordinates, weights [classes, width] and biases [classes]; classes that it does not know
 * begin at 0.
 *
 * @param project rows in the design's coordinates, as in `Design`
 */
export async function startParameters(
  start: Start,
  to: Standard,
  classes: number,
  width: number,
  project: (rows: Rows) => Promise<Float64Array>,
): Promise<Float64Array> {
  const { inputs, outputs, weights, bias } = restandardised(start, to)[0]!;
  // Weights lie in the space of the standardised features: as a row they are what is standardised to them.
  const vectors = weights.map((weight, at) => weight * to.deviation[at % inputs]! + to.mean[at % inputs]!);
  const parameters = new Float64Array(classes * (width + 1));
  parameters.set(await project({ vectors, count: outputs, dimensions: inputs }));
  parameters.set(bias, classes * width);
  return parameters.map((value) => value / start.temperature);
}

/** Puts a head's parameters into a net that has them and perhaps further outputs, which keep theirs. */
export function continueFrom(start: Start, to: Standard, net: Net): void {
  for (const [l, { weights, bias }] of restandardised(start, to).entries()) {
    net[l]!.weights.set(weights);
    net[l]!.bias.set(bias);
  }
}
