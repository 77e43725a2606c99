import { describe, expect, test } from 'vitest';
import { minimize } from './lbfgs.js';

describe('minimize', () => {
  test('Rosenbrock in ten dimensions from (-1.2, 1, ...) reaches the minimum at ones', async () => {
    const n = 10;
    const result = await minimize(
      async (x, gradient) => {
        gradient.fill(0);
        let value = 0;
        for (let i = 0; i + 1 < n; i++) {
          const valley = x[i + 1]! - x[i]! ** 2;
          value += 100 * valley ** 2 + (1 - x[i]!) ** 2;
          gradient[i]! += -400 * valley * x[i]! - 2 * (1 - x[i]!);
          gradient[i + 1]! += 200 * valley;
        }
        return value;
      },
      Float64Array.from({ length: n }, (_, i) => (i % 2 === 0 ? -1.2 : 1)),
      { tolerance: 1e-9 },
    );
    expect(result.converged).toBe(true);
    for (const component of result.x) expect(component).toBeCloseTo(1, 8);
    expect(result.evaluations).toBeLessThan(200);
  });

  test('an ill-conditioned quadratic (1 to 1000) reaches its minimum', async () => {
    const scales = Float64Array.from({ length: 20 }, (_, i) => 10 ** ((3 * i) / 19));
    const { x, converged } = await minimize(
      async (point, gradient) => {
        let value = 0;
        for (let i = 0; i < 20; i++) {
          const apart = point[i]! - i;
          value += 0.5 * scales[i]! * apart * apart;
          gradient[i] = scales[i]! * apart;
        }
        return value;
      },
      new Float64Array(20),
      { tolerance: 1e-7, maxIterations: 400 },
    );
    expect(converged).toBe(true);
    x.forEach((component, i) => void expect(component).toBeCloseTo(i, 6));
  });

  test('values never rise, and a true answer of onIteration stops', async () => {
    const values: number[] = [];
    const objective = async (x: Float64Array, gradient: Float64Array) => {
      gradient[0] = 4 * x[0]! ** 3;
      return x[0]! ** 4;
    };
    const { iterations } = await minimize(objective, Float64Array.of(3), {
      onIteration: async (iteration, value) => {
        values.push(value);
        return iteration === 4;
      },
    });
    expect(iterations).toBe(4);
    expect([...values].sort((a, b) => b - a)).toEqual(values);
  });

  test('an objective without a minimum ends at maxIterations, not converged', async () => {
    const { iterations, converged } = await minimize(
      async (x, gradient) => {
        gradient[0] = -1 / (1 + Math.exp(x[0]!));
        return Math.log1p(Math.exp(-x[0]!));
      },
      Float64Array.of(0),
      { tolerance: 0, maxIterations: 7 },
    );
    expect(iterations).toBe(7);
    expect(converged).toBe(false);
  });

  test('steps into NaN are taken back', async () => {
    const { x } = await minimize(
      async (point, gradient) => {
        gradient[0] = 1 - 1 / point[0]!;
        return point[0]! - Math.log(point[0]!);
      },
      Float64Array.of(30),
      { tolerance: 1e-10 },
    );
    expect(x[0]).toBeCloseTo(1, 8);
  });
});
