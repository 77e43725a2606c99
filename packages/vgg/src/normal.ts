import type { Random } from './random.js';

/**
 * Draws from the standard normal distribution, two to each pair of uniform numbers: Box and Muller 1958, "A Note on the Generation of
 * Random Normal Deviates".
 *
 * @example const draw = standardNormal(random(1)); draw(); // -0.63
 */
export function standardNormal({ uniform }: Pick<Random, 'uniform'>): () => number {
  let kept: number | undefined;
  return () => {
    if (kept !== undefined) {
      const value = kept;
      kept = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    kept = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
