import { aligned, grouped } from '../text/columns.js';

/** A size for people: `58.9 MB` (decimal, as download sizes are given). */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = count;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** A few significant digits, for tables. */
export function brief(value: number, digits = 5): string {
  if (!Number.isFinite(value)) return String(value);
  const text = value.toPrecision(digits);
  return text.includes('e') ? text : String(Number(text));
}

/** `1 picture`, `2 pictures`. */
export const plural = (count: number, one: string, many = `${one}s`): string => `${grouped(count)} ${count === 1 ? one : many}`;

export { percent } from '../text/percent.js';

/** Rows under a header, in aligned columns; those named in `right` are numbers. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], right: readonly string[] = []): string {
  const { lines, rule } = aligned([header, ...rows], (column) => right.includes(header[column]));
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}

/** `name  value` lines. */
export function facts(rows: readonly (readonly [string, string | undefined])[]): string {
  const known = rows.filter((row): row is readonly [string, string] => row[1] !== undefined);
  const width = Math.max(...known.map(([name]) => name.length));
  return known.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

/** Control characters of a stranger's file name or tensor name must not reach a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
export const printable = (text: string): string => text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '?');

/** The first names of a list, and how many more: JSON has them all. */
export const some = (names: readonly string[], shown = 6): string =>
  names.length <= shown ? names.join(', ') : `${names.slice(0, shown).join(', ')} and ${names.length - shown} more`;
