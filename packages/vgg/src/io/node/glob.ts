/** Whether a path holds wildcards. */
export function isGlob(path: string): boolean {
  return /[*?[{]/.test(path);
}

/** The folder above a pattern's first wildcard, to be listed for it: `photos/2024` of `photos/2024/*.jpg`, empty for the working folder. */
export function globBase(pattern: string): string {
  const segments = pattern.split('/');
  const first = segments.findIndex(isGlob);
  const base = segments.slice(0, first === -1 ? -1 : first).join('/');
  return base === '' && pattern.startsWith('/') ? '/' : base;
}

/**
 * A pattern for whole paths with `/`, as shells understand it: `*` and `?` stay inside a name, `**` alone between slashes stands for any
 * number of folders, `[a-z]` and `[!a-z]` for one character, `{jpg,png}` for either (braces may be nested). A bracket or brace that is not
 * closed stands for itself. Wildcards at the start of a name do not match a dot.
 *
 * @example globToRegExp('photos/**' + '/*.{jpg,png}').test('photos/a/b/c.png') // true
 */
export function globToRegExp(pattern: string): RegExp {
  return new RegExp(`^(?:${alternatives(pattern).map(translate).join('|')})$`, 'u');
}

/** How many names deep a pattern can match below its base: what needs not be listed for `*.jpg`. */
export function globDepth(pattern: string): number {
  const above = globBase(pattern).split('/').filter(Boolean).length;
  const depths = alternatives(pattern).map((each) => {
    const segments = each.split('/').filter(Boolean);
    return segments.includes('**') ? Number.POSITIVE_INFINITY : segments.length - above;
  });
  return Math.max(...depths);
}

/** More alternatives than this from nested braces are taken literally. */
const MAX_ALTERNATIVES = 1024;

/** `a{b,c}d` to `abd`, `acd`. */
function alternatives(pattern: string): string[] {
  const results: string[] = [];
  const waiting = [pattern];
  while (waiting.length > 0) {
    const next = waiting.shift()!;
    const brace = findBrace(next);
    if (!brace || waiting.length + results.length > MAX_ALTERNATIVES) results.push(next);
    else waiting.push(...brace.options.map((option) => next.slice(0, brace.start) + option + next.slice(brace.end + 1)));
  }
  return results;
}

/** The first closed brace that has a comma, and its options. */
function findBrace(text: string): { start: number; end: number; options: string[] } | undefined {
  for (let start = text.indexOf('{'); start !== -1; start = text.indexOf('{', start + 1)) {
    const options = [''];
    let depth = 0;
    for (let at = start + 1; at < text.length; at++) {
      const character = text[at]!;
      if (character === '}' && depth === 0) {
        if (options.length > 1) return { start, end: at, options };
        break;
      }
      if (character === '{') depth++;
      if (character === '}') depth--;
      if (character === ',' && depth === 0) options.push('');
      else options[options.length - 1] += character;
    }
  }
  return undefined;
}

function translate(pattern: string): string {
  const segments = pattern.split('/');
  return segments
    .map((segment, i) => {
      const last = i === segments.length - 1;
      if (segment === '**') return last ? '(?:(?!\\.)[^/]+(?:/(?!\\.)[^/]+)*)' : '(?:(?!\\.)[^/]+/)*';
      return name(segment) + (last ? '' : '/');
    })
    .join('');
}

function name(segment: string): string {
  let source = /^[*?[]/.test(segment) ? '(?!\\.)' : '';
  const characters = [...segment];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i]!;
    const close = character === '[' ? characters.indexOf(']', i + (/[!^]/.test(characters[i + 1] ?? '') ? 3 : 2)) : -1;
    if (character === '*') {
      // A run of stars says no more than one; without the run, matching stays quick on hostile patterns.
      if (characters[i - 1] !== '*') source += '[^/]*';
    } else if (character === '?') {
      source += '[^/]';
    } else if (close !== -1) {
      source += set(characters.slice(i + 1, close));
      i = close;
    } else {
      source += literal(character);
    }
  }
  return source;
}

/** `a-z_` to a character class; a range whose ends are reversed matches nothing of it. */
function set(inside: readonly string[]): string {
  const negated = inside[0] === '!' || inside[0] === '^';
  const characters = negated ? inside.slice(1) : inside;
  let source = '';
  for (let i = 0; i < characters.length; i++) {
    const from = characters[i]!;
    const to = characters[i + 1] === '-' ? characters[i + 2] : undefined;
    if (to === undefined) source += literal(from);
    else {
      if (from.codePointAt(0)! <= to.codePointAt(0)!) source += `${literal(from)}-${literal(to)}`;
      i += 2;
    }
  }
  if (source === '') return negated ? '[^/]' : '[^\\s\\S]';
  return negated ? `[^/${source}]` : `(?!/)[${source}]`;
}

function literal(character: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(character) ? `\\${character}` : character === '-' ? '\\x2d' : character;
}
