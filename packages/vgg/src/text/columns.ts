/** `1,234,567`. */
export function grouped(value: number, digits = 0): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/**
 * Rows as lines of aligned columns, and the rule that goes between them.
 * @param isNumber whether a column, by its place, is read from the right
 */
export function aligned(rows: readonly (readonly string[])[], isNumber: (column: number) => boolean): { lines: string[]; rule: string } {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) => rows.reduce((most, row) => Math.max(most, row[column]?.length ?? 0), 0));
  const line = (row: readonly string[]) =>
    widths
      .map((width, column) => (isNumber(column) ? (row[column] ?? '').padStart(width) : (row[column] ?? '').padEnd(width)))
      .join('  ')
      .trimEnd();
  return { lines: rows.map(line), rule: widths.map((width) => '-'.repeat(width)).join('  ') };
}
