import { md5 } from '@noble/hashes/legacy.js';
import { sha256, sha384 } from '@noble/hashes/sha2.js';
import type { Hash, HashAlgorithm } from '../io.js';

// SubtleCrypto has no md5, and wants all bytes at once.
const ALGORITHMS = { md5, sha256, sha384 } as const;

/** A running hash, in plain JavaScript. */
export function hash(algorithm: HashAlgorithm): Hash {
  const running = ALGORITHMS[algorithm].create();
  return {
    update: (bytes) => void running.update(bytes),
    digest: () => Array.from(running.digest(), (byte) => byte.toString(16).padStart(2, '0')).join(''),
  };
}
