/** Names listed for one reason; JSON documents and error details have them all. */
const NAMES = 6;
const REASONS = 6;

/**
 * Things with the reason for each, those that share one together: what is wrong with a cut file is said once.
 *
 * @example
 * withReasons([{ name: 'a', reason: 'cut' }, { name: 'b', reason: 'cut' }]); // 'a, b (cut)'
 */
export function withReasons(items: readonly { readonly name: string; readonly reason: string }[]): string {
  const byReason = new Map<string, string[]>();
  for (const { name, reason } of items) {
    const names = byReason.get(reason);
    if (names) names.push(name);
    else byReason.set(reason, [name]);
  }
  const shown = [...byReason].slice(0, REASONS);
  const rest = items.length - shown.reduce((sum, [, names]) => sum + names.length, 0);
  const texts = shown.map(([reason, names]) => {
    const more = names.length > NAMES ? ` and ${names.length - NAMES} more` : '';
    return `${names.slice(0, NAMES).join(', ')}${more} (${reason})`;
  });
  return `${texts.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
