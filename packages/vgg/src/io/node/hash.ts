import { createHash } from 'node:crypto';
import type { Hash, HashAlgorithm } from '../io.js';

/** A running hash, by OpenSSL. */
export function hash(algorithm: HashAlgorithm): Hash {
  const running = createHash(algorithm);
  return {
    update: (bytes) => void running.update(bytes),
    digest: () => running.digest('hex'),
  };
}
