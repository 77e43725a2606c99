/** Suffixes of the files that count as photographs in folders and globs; a GIF, an animation more often than not, does not. */
const PHOTOGRAPH_SUFFIXES = ['.jpg', '.jpeg', '.png', '.webp', '.avif', '.tif', '.tiff'] as const;

/** A file that was passed over, and why. */
export interface Skipped {
  readonly name: string;
  readonly reason: string;
}

/** Why a file of this name is not a photograph; `undefined` where it is one. */
export function notPhotograph(name: string): string | undefined {
  const base = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1);
  const dot = base.lastIndexOf('.');
  const suffix = dot > 0 ? base.slice(dot).toLowerCase() : '';
  if ((PHOTOGRAPH_SUFFIXES as readonly string[]).includes(suffix)) return undefined;
  return `expected a photograph (${PHOTOGRAPH_SUFFIXES.join(' ')}), received ${suffix === '' ? 'a file without a suffix' : suffix}`;
}

/** Order of names by their UTF-16 units, which no locale changes. */
export function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
