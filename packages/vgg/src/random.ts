/** A seeded stream of pseudo-random numbers, the same on every machine. */
export interface Random {
  /** A whole number in [0, 2^32). */
  uint32(): number;
  /** A number in [0, 1), a multiple of 2^-32. */
  uniform(): number;
  /** A whole number in [0, bound), without modulo bias. */
  below(bound: number): number;
  /** Shuffles in place (Fisher-Yates, from the end) and returns the same list. */
  shuffle<List extends number[] | Int32Array>(list: List): List;
  /** A normally distributed number with mean 0 and deviation 1; engines may differ in its last bit. */
  normal(): number;
  /** All that decides the numbers to come, for {@link restoreRandom}: four 32-bit words. */
  state(): RandomState;
}

/** The four words of a stream, each in [0, 2^32). */
export type RandomState = readonly [number, number, number, number];

/**
 * xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018). Its four state words are the first four
 * outputs of splitmix32: a counter that starts at the seed's low 32 bits xor 0x85ebca6b times its high ones and advances by
 * 0x9e3779b9, each value passed through MurmurHash3's 32-bit finaliser.
 *
 * @param seed any safe integer
 * @example random(0).uint32(); // 3809008728
 */
export function random(seed: number): Random {
  let counter = (seed | 0) ^ Math.imul(Math.floor(seed / 2 ** 32), 0x85ebca6b);
  const word = () => {
    counter = (counter + 0x9e3779b9) | 0;
    let z = counter;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return z ^ (z >>> 16);
  };
  return restoreRandom([word(), word(), word(), word()]);
}

/**
 * The stream that goes on where another one was.
 *
 * @param state what {@link Random.state} gave
 * @example
 * const stream = random(1);
 * stream.uint32(); // 2442144158
 * restoreRandom(stream.state()).uint32(); // 3238099751
 */
export function restoreRandom(state: RandomState): Random {
  let [a, b, c, d] = state;
  const uint32 = () => {
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  const below = (bound: number) => {
    // Values past the last whole multiple of `bound` would favour small results; they are drawn again.
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let value = uint32();
    while (value >= limit) value = uint32();
    return value % bound;
  };
  const uniform = () => uint32() / 2 ** 32;
  return {
    uint32,
    uniform,
    below,
    shuffle(list) {
      for (let last = list.length - 1; last > 0; last--) {
        const chosen = below(last + 1);
        const kept = list[last]!;
        list[last] = list[chosen]!;
        list[chosen] = kept;
      }
      return list;
    },
    // Box and Muller 1958. The second number of the pair is dropped, so that there is nothing but the words to restore.
    normal() {
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      return radius * Math.cos(2 * Math.PI * uniform());
    },
    state: () => [a >>> 0, b >>> 0, c >>> 0, d >>> 0],
  };
}
