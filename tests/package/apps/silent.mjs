// An import must change nothing: no global, no listener, no handle, no output. Prints what it did change.
const globals = () => Reflect.ownKeys(globalThis).map(String);
const listeners = () => process.eventNames().map((name) => `${String(name)} x${process.listenerCount(name)}`);
const before = { globals: globals(), listeners: listeners(), resources: process.getActiveResourcesInfo() };
for (const entry of process.argv.slice(2)) await import(entry);
const added = (name, after) => after.filter((item) => !before[name].includes(item));
console.log(
  JSON.stringify({
    globals: added('globals', globals()),
    listeners: added('listeners', listeners()),
    resources: added('resources', process.getActiveResourcesInfo()),
  }),
);
