/** The fewest insertions, deletions, substitutions and swaps of neighbours from `a` to `b` (Damerau 1964, optimal alignment). */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substituted = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      current[column] = Math.min(substituted, previous[column]! + 1, current[column - 1]! + 1);
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwap) current[column] = Math.min(current[column]!, before[column - 2]! + 1);
    }
    [before, previous] = [previous, current];
  }
  return previous[b.length]!;
}

/**
 * The candidate that a mistyped word most likely meant; `undefined` where none is near (more than a third of the word is wrong).
 *
 * @example
 * suggest('relu5-3', ['relu5_3', 'relu4_3']); // 'relu5_3'
 */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  // A stranger's word may be long, and the distance is quadratic.
  const typed = word.toLowerCase().slice(0, 64);
  let best: string | undefined;
  let least = Math.max(2, Math.ceil(typed.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(typed, candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** The end of a message about an unknown word: ` (did you mean "relu5_3"?)`, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const near = suggest(word, candidates);
  return near === undefined ? '' : ` (did you mean "${near}"?)`;
}
