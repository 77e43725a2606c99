/** A part of a whole for people: `93.10 %`. */
export const percent = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`;
