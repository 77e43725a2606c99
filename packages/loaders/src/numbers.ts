/** All of them multiplied, such as the sizes of a shape that is known to be sound; of a stranger's shape `countOf` is the number of values. */
export function product(numbers: readonly number[]): number {
  return numbers.reduce((result, number) => result * number, 1);
}

/** The shortest decimal that is this float32, which is what people wrote: 0.0001 and not 0.00009999999747378752. */
export function shortestDecimal(value: number): number {
  const exact = Math.fround(value);
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(exact.toPrecision(digits));
    if (Math.fround(shorter) === exact) return shorter;
  }
  return exact;
}
