import { VggError } from '@vgg/errors';
import { pastLimit } from '../../refusals.js';
import { MAX_DEPTH, MAX_NAME, MAX_TENSORS, MAX_VISITS } from './limits.js';
import { Dict, type Instance, textOf, type Value } from './values.js';

/** Something found in nested dicts and lists: the keys that lead there, those of lists are their indices. */
export interface Leaf<T> {
  readonly path: readonly string[];
  readonly value: T;
}

/**
 * The instances of `kind` in nested dicts and lists, in their order. What keys that are neither text nor
 * numbers lead to is left out. `items` tells what else has items.
 *
 * @throws VggError `VGG_INTEGRITY` past a limit: an object may be in itself, or in another a million times over
 */
export function leavesOf<T extends Instance>(
  root: Value,
  kind: abstract new (...args: never) => T,
  who: string,
  items: (value: Value) => readonly Value[] | undefined = () => undefined,
): Leaf<T>[] {
  const found: Leaf<T>[] = [];
  let visits = 0;
  const visit = (value: Value, path: readonly string[]): void => {
    if (++visits > MAX_VISITS || path.length > MAX_DEPTH) {
      throw new VggError(
        'VGG_INTEGRITY',
        `${who}: expected tensors in at most ${MAX_DEPTH} levels of dicts and lists, received more levels or one that is in itself`,
      );
    }
    if (value === null || typeof value !== 'object') return;
    const inside = Array.isArray(value) ? value : items(value);
    if (inside) {
      for (const [i, item] of inside.entries()) visit(item, [...path, String(i)]);
    } else if (value instanceof Dict) {
      for (const [key, item] of value.entries) {
        const name = textOf(key);
        if (name !== undefined) visit(item, [...path, name]);
      }
    } else if (value instanceof kind) {
      const length = path.reduce((sum, key) => sum + key.length, 0);
      if (length > MAX_NAME) throw pastLimit(who, `names of at most ${MAX_NAME} characters`, `one of ${length}`);
      if (found.length >= MAX_TENSORS) throw pastLimit(who, `at most ${MAX_TENSORS} tensors`);
      found.push({ path, value });
    }
  };
  visit(root, []);
  return found;
}
