/** A coordinate as drawings write it: to two decimals. */
export const two = (value: number): number => Math.round(value * 100) / 100;
