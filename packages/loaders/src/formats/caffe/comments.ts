/** Longest line that is written or read: the names of a thousand classes are 30 KB. */
const MAX_LINE = 2 ** 16;
/** Lines that are read. */
const MAX_LINES = 64;
/** Keys of our own have a dot, which tells them from prose. */
const COMMENT = /^#[ \t]*(\w+\.\w+):[ \t](.*)$/;

/** What the weights say of themselves, a line each, above a network's text; a longer line is left out. */
export function printComments(metadata: ReadonlyMap<string, string>): string {
  const lines = [...metadata].map(([key, value]) => `# ${`${key}: ${value}`.replace(/\p{C}+/gu, ' ')}\n`);
  return lines.filter(({ length }) => length <= MAX_LINE).join('');
}

/** The same read again, out of the lines above the first that is no comment. */
export function parseComments(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = text.charCodeAt(0) === 0xfeff ? 1 : 0, line = 0; text[at] === '#' && line < MAX_LINES; line++) {
    const end = text.indexOf('\n', at);
    const stop = end < 0 ? text.length : end;
    const [, key, value] = (stop - at <= MAX_LINE && COMMENT.exec(text.slice(at, stop).trimEnd())) || [];
    if (key !== undefined) found.set(key, value!);
    at = stop + 1;
  }
  return found;
}
