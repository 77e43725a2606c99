import { METADATA } from '../weights/metadata.js';

/**
 * The class names that a weight file carries, as {@link parseClasses} reads them: those that our own files have, or the lists `classes` and
 * `wnids` of a MatConvNet network's `meta.classes`. Undefined where it carries none.
 */
export function carriedClasses(metadata: ReadonlyMap<string, string>): string | undefined {
  const own = metadata.get(METADATA.classes);
  if (own !== undefined) return own;
  const labels = texts(metadata.get('classes'));
  if (!labels) return undefined;
  const wnids = texts(metadata.get('wnids'));
  return JSON.stringify(wnids?.length === labels.length ? labels.map((label, i) => [wnids[i], label]) : labels);
}

/** A JSON list of texts; a stranger's metadata may be anything. */
function texts(json: string | undefined): string[] | undefined {
  try {
    const list: unknown = JSON.parse(json ?? 'null');
    return Array.isArray(list) && list.length > 0 && list.every((each) => typeof each === 'string') ? list : undefined;
  } catch {
    return undefined;
  }
}
