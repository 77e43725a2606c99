/** Two words that a mask is made with, from any number of words: equal only for equal lists, as far as 64 bits go. */
export function maskKeys(words: readonly number[]): [number, number] {
  let first = 0x9e3779b9;
  let second = 0x85ebca6b;
  for (const word of words) {
    first = mix(first ^ word);
    second = mix((second + Math.imul(first, 0xc2b2ae35)) ^ word);
  }
  return [first, second];
}

/** The largest hash that is kept, of 2^32. */
export function keptLimit(keep: number): number {
  return Math.max(1, Math.floor(keep * 2 ** 32)) - 1;
}

/** 1 / keep with this probability, else 0, for each place: what the kernel in assembly/elementwise.ts multiplies with. */
export function dropoutMask(length: number, keep: number, [first, second]: [number, number]): Float32Array {
  const mask = new Float32Array(length);
  const limit = keptLimit(keep);
  const factor = 1 / keep;
  for (let i = 0; i < length; i++) {
    const hash = mix(mix(i ^ first) ^ second) >>> 0;
    if (hash <= limit) mask[i] = factor;
  }
  return mask;
}

/** Wellons's `lowbias32`: every bit of the argument changes each bit of the result with a probability near 1/2. */
function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return hash ^ (hash >>> 16);
}
