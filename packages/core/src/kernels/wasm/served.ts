let listener: ((kernel: string) => void) | undefined;

/**
 * Listens to which kernels of ours run, by the names of tfjs that they stand for; for profiles. One listener at a time; the answer
 * stops it.
 */
export function listenServed(next: (kernel: string) => void): () => void {
  listener = next;
  return () => {
    if (listener === next) listener = undefined;
  };
}

/** Says that a kernel of ours has been chosen. */
export function served(kernel: string): void {
  listener?.(kernel);
}
