/** What the keys of object-based checkpoints end in. */
const VALUE = /\/\.ATTRIBUTES\/VARIABLE_VALUE$/;

/**
 * A tidy name for each key: that of the variable, where the checkpoint has it and it is the only one of that name; else the key without
 * what says that it is a variable. Names of tf.train.Saver stay as they are.
 */
export function tidyNames(keys: readonly string[], variables: ReadonlyMap<string, string>): Map<string, string> {
  const candidates = keys.map((key) => {
    if (!VALUE.test(key)) return { key, names: [key] };
    const path = key.replace(VALUE, '').replace(/\/_kernel$/, '/kernel');
    const own = variables.get(key)?.replace(/:\d+$/, '');
    return { key, names: own ? [own, path, key] : [path, key] };
  });
  // The first choice of each that nobody else has as any choice.
  const wanted = new Map<string, number>();
  for (const { names } of candidates) for (const name of new Set(names)) wanted.set(name, (wanted.get(name) ?? 0) + 1);
  return new Map(candidates.map(({ key, names }) => [key, names.find((name) => wanted.get(name) === 1) ?? key]));
}
