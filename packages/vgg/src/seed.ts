/**
 * A seed for one use among many: a whole number below 2^53 that depends on the run's seed and on every key, so that what is drawn for one
 * picture or one tensor does not depend on which others were drawn before it, or by which thread.
 *
 * Each 32-bit half is MurmurHash3 (x86, 32 bit) over the UTF-16 units of the JSON text of all of them, from another start.
 *
 * @example random(derivedSeed(7, 'augment', epoch, index)).uniform();
 */
export function derivedSeed(seed: number, ...keys: readonly (string | number)[]): number {
  const text = JSON.stringify([seed, ...keys]);
  return (murmur(text, 0x3c074a61) >>> 11) * 2 ** 32 + murmur(text, 0x9747b28c);
}

function murmur(text: string, start: number): number {
  let hash = start;
  for (let i = 0; i < text.length; i++) {
    const unit = Math.imul(text.charCodeAt(i), 0xcc9e2d51);
    hash ^= Math.imul((unit << 15) | (unit >>> 17), 0x1b873593);
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  hash ^= 2 * text.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
