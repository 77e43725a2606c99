/** An axis: where values are shown, and which of them are labelled. */
export interface Scale {
  /** The part of the axis, 0 at its start and 1 at its end, at which a value is shown. */
  at(value: number): number;
  readonly ticks: readonly { readonly value: number; readonly label: string }[];
  readonly logarithmic: boolean;
}

/**
 * An axis from a round number below the least value to one above the largest, in steps of 1, 2 or 5 times a power of ten.
 *
 * @param most ticks at most, about
 * @example linearScale(0.03, 0.91, 5).ticks.map(({ label }) => label) // ['0', '0.2', '0.4', '0.6', '0.8', '1']
 */
export function linearScale(least: number, largest: number, most: number): Scale {
  const span = largest > least ? largest - least : Math.abs(least) || 1;
  const step = roundStep(span / most);
  const first = Math.floor(least / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(largest / step - 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => tick((first + i) * step, step));
  const [from, to] = [first * step, last * step];
  return { at: (value) => (value - from) / (to - from), ticks, logarithmic: false };
}

/** An axis of whole numbers, from the least to the largest itself. */
export function wholeScale(least: number, largest: number, most: number): Scale {
  const step = Math.max(1, roundStep((largest - least) / most));
  const first = Math.ceil(least / step);
  const count = Math.max(0, Math.floor(largest / step) - first + 1);
  const ticks = Array.from({ length: count }, (_, i) => tick((first + i) * step, step));
  if (ticks[0]?.value !== least) ticks.unshift(tick(least, 1));
  // A first tick of its own gives way to none that stands close to it.
  const spaced = ticks.filter(({ value }, i) => i === 0 || value - least >= step * 0.5);
  return { at: (value) => (largest > least ? (value - least) / (largest - least) : 0.5), ticks: spaced, logarithmic: false };
}

/** An axis of powers of ten, for values above 0; those in between are labelled too where there are few powers. */
export function logScale(least: number, largest: number): Scale {
  const first = Math.floor(Math.log10(least) + 1e-9);
  const last = Math.max(first + 1, Math.ceil(Math.log10(largest) - 1e-9));
  const stride = Math.ceil((last - first) / 6);
  const ticks: { value: number; label: string }[] = [];
  for (let power = first; power <= last; power += stride) ticks.push({ value: 10 ** power, label: powerLabel(power) });
  return { at: (value) => (Math.log10(value) - first) / (last - first), ticks, logarithmic: true };
}

const powerLabel = (power: number): string => (power >= -4 && power <= 4 ? String(Number((10 ** power).toFixed(4))) : `1e${power}`);

function tick(value: number, step: number): { value: number; label: string } {
  const digits = Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const exact = Number(value.toFixed(digits));
  const large = Math.abs(exact) >= 1e5 || (exact !== 0 && Math.abs(exact) < 1e-4);
  return { value: exact, label: large ? String(Number(exact.toPrecision(3))) : exact.toFixed(digits) };
}

/** The least of 1, 2, 5, 10 ... times a power of ten that is not below the number. */
function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((each) => each * power >= rough * (1 - 1e-9)) ?? 10;
  return factor * power;
}
