const collator = new Intl.Collator('en', { numeric: true });

/**
 * Paths in the order of people, the numbers in them taken as numbers, part by part: `conv2d/kernel`, `conv2d_1/kernel`, `conv2d_2/kernel`,
 * `conv2d_10/kernel`.
 */
export function inNaturalOrder(paths: readonly string[]): string[] {
  return paths
    .map((path) => ({ path, parts: path.split('/') }))
    .sort((a, b) => compare(a.parts, b.parts))
    .map(({ path }) => path);
}

function compare(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = a[i] === b[i] ? 0 : collator.compare(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}
