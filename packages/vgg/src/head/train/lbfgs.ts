/** f(x), and its gradient written into `gradient`. */
export type Objective = (x: Float64Array, gradient: Float64Array) => Promise<number>;

export interface LbfgsOptions {
  /** Pairs of steps that stand for the curvature. */
  memory?: number;
  /** Stops when no component of the gradient is larger. */
  tolerance?: number;
  maxIterations?: number;
  /** Called after each step with the new point; a true answer stops. */
  onIteration?: (iteration: number, value: number, x: Float64Array) => Promise<boolean | undefined> | undefined;
}

const LBFGS_DEFAULTS = { memory: 10, tolerance: 1e-6, maxIterations: 200 };

export interface LbfgsResult {
  x: Float64Array;
  value: number;
  /** Largest component of the gradient, by absolute value. */
  gradient: number;
  iterations: number;
  evaluations: number;
  converged: boolean;
}

/**
 * Minimises a smooth function by limited-memory BFGS (Liu and Nocedal 1989) with a strong-Wolfe line search (Nocedal and Wright, Numerical
 * Optimization, algorithms 3.5 and 3.6). Deterministic: the same start gives the same steps.
 */
export async function minimize(objective: Objective, start: Float64Array, options: LbfgsOptions = {}): Promise<LbfgsResult> {
  const { memory, tolerance, maxIterations } = { ...LBFGS_DEFAULTS, ...options };
  let x: Float64Array = Float64Array.from(start);
  let gradient: Float64Array = new Float64Array(x.length);
  let value = await objective(x, gradient);
  let evaluations = 1;
  let iterations = 0;
  const pairs: { step: Float64Array; change: Float64Array; product: number }[] = [];

  while (iterations < maxIterations && largest(gradient) > tolerance) {
    let direction = descent(gradient, pairs);
    let slope = dot(gradient, direction);
    if (!(slope < 0)) {
      // Rounding has spoilt the curvature pairs: begin again from steepest descent.
      pairs.length = 0;
      direction = descent(gradient, pairs);
      slope = dot(gradient, direction);
      if (!(slope < 0)) break;
    }
    const first = pairs.length === 0 ? Math.min(1, 1 / norm(gradient)) : 1;
    const found = await lineSearch(objective, x, value, slope, direction, first);
    evaluations += found.evaluations;
    if (found.gradient === undefined) {
      if (pairs.length === 0) break;
      pairs.length = 0;
      continue;
    }
    const step = difference(found.x, x);
    const change = difference(found.gradient, gradient);
    const product = dot(step, change);
    if (product > 1e-16 * dot(change, change)) {
      pairs.push({ step, change, product });
      if (pairs.length > memory) pairs.shift();
    }
    x = found.x;
    gradient = found.gradient;
    value = found.value;
    iterations++;
    if (await options.onIteration?.(iterations, value, x)) break;
  }
  const size = largest(gradient);
  return { x, value, gradient: size, iterations, evaluations, converged: size <= tolerance };
}

/** The two-loop recursion: minus the inverse curvature times the gradient. */
function descent(gradient: Float64Array, pairs: readonly { step: Float64Array; change: Float64Array; product: number }[]): Float64Array {
  const direction = gradient.map((component) => -component);
  const weights = new Array<number>(pairs.length);
  for (let i = pairs.length - 1; i >= 0; i--) {
    const { step, change, product } = pairs[i]!;
    weights[i] = dot(step, direction) / product;
    addScaled(direction, -weights[i]!, change);
  }
  const last = pairs.at(-1);
  if (last) {
    const scale = last.product / dot(last.change, last.change);
    for (let i = 0; i < direction.length; i++) direction[i]! *= scale;
  }
  for (let i = 0; i < pairs.length; i++) {
    const { step, change, product } = pairs[i]!;
    addScaled(direction, weights[i]! - dot(change, direction) / product, step);
  }
  return direction;
}

interface Found {
  x: Float64Array;
  value: number;
  /** Absent where no acceptable step was found. */
  gradient?: Float64Array;
  evaluations: number;
}

const SUFFICIENT_DECREASE = 1e-4;
const CURVATURE = 0.9;
const MAX_TRIALS = 40;

async function lineSearch(
  objective: Objective,
  x: Float64Array,
  value: number,
  slope: number,
  direction: Float64Array,
  first: number,
): Promise<Found> {
  // Near the optimum the decrease drowns in rounding; then a step is judged by its slope alone (Hager and Zhang 2005, approximate Wolfe).
  const noise = 1e-14 * Math.max(1, Math.abs(value));
  let evaluations = 0;
  const at = async (length: number) => {
    const point = Float64Array.from(x);
    addScaled(point, length, direction);
    const gradient = new Float64Array(x.length);
    evaluations++;
    const reached = await objective(point, gradient);
    return {
      length,
      x: point,
      value: Number.isNaN(reached) ? Number.POSITIVE_INFINITY : reached,
      gradient,
      slope: dot(gradient, direction),
    };
  };
  type Trial = Awaited<ReturnType<typeof at>>;
  const tooHigh = (trial: Trial) => trial.value > value + SUFFICIENT_DECREASE * trial.length * slope + noise;
  const flat = (trial: Trial) => Math.abs(trial.slope) <= -CURVATURE * slope;

  let low: Pick<Trial, 'length' | 'value' | 'slope'> = { length: 0, value, slope };
  let high: typeof low | undefined;
  let length = first;
  let kept: Trial | undefined;
  for (let trials = 0; trials < MAX_TRIALS; trials++) {
    const trial = await at(length);
    if (tooHigh(trial) || trial.value > low.value + noise) {
      high = trial;
    } else {
      kept = trial;
      if (flat(trial)) break;
      // A slope that points back towards `low` closes the bracket; otherwise the minimum lies further on.
      if (trial.slope * ((high?.length ?? Number.POSITIVE_INFINITY) - low.length) >= 0) high = low;
      low = trial;
    }
    if (high === undefined) {
      length *= 2;
    } else {
      length = between(low, high);
      if (Math.abs(high.length - low.length) <= 1e-15 * Math.max(1, length)) break;
    }
  }
  return kept ? { x: kept.x, value: kept.value, gradient: kept.gradient, evaluations } : { x, value, evaluations };
}

/** The minimum of the cubic through two points and their slopes, kept off the ends of the bracket. */
function between(low: { length: number; value: number; slope: number }, high: { length: number; value: number; slope: number }): number {
  const width = high.length - low.length;
  const sum = low.slope + high.slope - (3 * (high.value - low.value)) / width;
  const root = Math.sign(width) * Math.sqrt(sum * sum - low.slope * high.slope);
  const part = 1 - (high.slope + root - sum) / (high.slope - low.slope + 2 * root);
  return low.length + width * (Number.isFinite(part) ? Math.min(0.9, Math.max(0.1, part)) : 0.5);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function addScaled(to: Float64Array, scale: number, from: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i]! += scale * from[i]!;
}

const difference = (a: Float64Array, b: Float64Array) => a.map((component, i) => component - b[i]!);
const norm = (a: Float64Array) => Math.sqrt(dot(a, a));

function largest(a: Float64Array): number {
  let size = 0;
  for (let i = 0; i < a.length; i++) size = Math.max(size, Math.abs(a[i]!));
  return size;
}
