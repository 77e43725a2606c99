// Mutates the fixtures of the weight formats and opens the results: `node scripts/fuzz.mjs [--format ID] [--count 200000] [--seed 1]`.
// What breaks a reader (another error than ours, an allocation beyond the limits, more than a second) is kept in packages/loaders/test/fuzz/corpus,
// whose files every test run opens again.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';

const { values } = parseArgs({
  options: {
    format: { type: 'string' },
    count: { type: 'string', default: '200000' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log(
    'node scripts/fuzz.mjs [--format ID] [--count 200000] [--seed 1]: mutates the fixtures of each weight format and opens the results',
  );
  process.exit(0);
}

const root = fileURLToPath(new URL('..', import.meta.url));
const tests = join(root, 'packages/loaders/test');
const corpus = join(tests, 'fuzz/corpus');
/** One input may take no longer. */
const LIMIT_MS = 1000;
/** A reader that takes this long is stopped. */
const HANG_MS = 10_000;
/** Findings of one format after which its run ends. */
const ENOUGH = 20;

const folder = mkdtempSync(join(tmpdir(), 'vgg-fuzz-'));
const bundle = (entry) =>
  build({
    entryPoints: [join(tests, 'fuzz', entry)],
    outfile: join(folder, entry.replace('.ts', '.mjs')),
    bundle: true,
    format: 'esm',
    platform: 'node',
    conditions: ['@vgg/source'],
    logLevel: 'error',
  });
let found = 0;
try {
  await Promise.all([bundle('worker.ts'), bundle('seeds.ts')]);
  const { SEEDS } = await import(pathToFileURL(join(folder, 'seeds.mjs')));
  for (const { format } of SEEDS.filter((each) => values.format === undefined || each.format === values.format)) {
    const result = await fuzz(format, Number(values.count), Number(values.seed));
    found += result.found;
    console.log(
      `${format}: ${result.done} inputs, ${result.opened} opened, ${result.refused} refused, ${result.found} found, slowest ${result.slowest.toFixed(0)} ms, ${((performance.now() - result.start) / 1000).toFixed(0)} s`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = found > 0 ? 1 : 0;

/** Keeps what was found under a name that says what it is of, and tells of it. */
function keep(format, index, bytes, why) {
  const name = `${format}-${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}.bin`;
  writeFileSync(join(corpus, name), bytes);
  console.log(`${format} ${index}: ${why.split('\n').slice(0, 6).join(' | ').slice(0, 600)} -> ${name}`);
}

async function fuzz(format, count, seed) {
  const result = { start: performance.now(), done: 0, opened: 0, refused: 0, found: 0, slowest: 0 };
  while (result.done < count && result.found < ENOUGH) {
    await new Promise((resolve, reject) => {
      const worker = new Worker(join(folder, 'worker.mjs'), {
        workerData: { format, folder: join(tests, 'fixtures'), seed, from: result.done, to: count },
      });
      let at = result.done;
      let since = performance.now();
      const watch = setInterval(() => {
        if (performance.now() - since < HANG_MS) return;
        result.found++;
        console.log(`${format} ${at}: still running after ${HANG_MS / 1000} s (seed ${seed})`);
        stop();
      }, 500);
      const stop = () => {
        clearInterval(watch);
        result.done = at + 1;
        void worker.terminate().then(resolve);
      };
      worker.on('message', ({ index, found: why, bytes, slowest, outcome }) => {
        at = index;
        since = performance.now();
        if (why !== undefined) {
          result.found++;
          keep(format, index, bytes, why);
          if (result.found >= ENOUGH) stop();
        }
        if (slowest > LIMIT_MS) {
          result.found++;
          keep(format, index, bytes, `took ${slowest.toFixed(0)} ms`);
        }
        if (slowest !== undefined) result.slowest = Math.max(result.slowest, slowest);
        if (outcome) {
          result.opened += outcome.opened;
          result.refused += outcome.refused;
          result.done = count;
          stop();
          result.done = count;
        }
      });
      worker.on('error', (error) => {
        clearInterval(watch);
        result.found++;
        result.done = at + 1;
        console.log(`${format} ${at}: the worker died: ${error.message}`);
        resolve();
      });
      worker.on('messageerror', reject);
    });
  }
  return result;
}
