// Article 1: how long VGG-16 takes for a batch, forward, and forward and backward.
//   node examples/articles/1-benchmark.mjs [--arch D] [--size 224] [--batch 32] [--warmup 10] [--runs 100]
//        [--backend auto] [--threads N] [--max-memory MB] [--seed 0] [--out FILE.json]
// The same by hand: vgg bench --arch D --batch 32 --warmup 10 --runs 100 --mode forward
//                   vgg bench --arch D --batch 32 --warmup 10 --runs 100 --mode forward-backward
// On a processor begin with --batch 4 --warmup 1 --runs 5. A batch that does not fit the memory is worked off in portions.
import { writeFile } from 'node:fs/promises';
import { flag, start, vgg } from './common.mjs';

const options = {
  arch: { type: 'string', default: 'D' },
  size: { type: 'string' },
  batch: { type: 'string', default: '32' },
  warmup: { type: 'string', default: '10' },
  runs: { type: 'string', default: '100' },
  backend: { type: 'string', default: 'auto' },
  threads: { type: 'string' },
  'max-memory': { type: 'string' },
  seed: { type: 'string', default: '0' },
  out: { type: 'string' },
};

await start(import.meta.url, options, async ({ out, ...values }) => {
  const flags = Object.entries(values).flatMap(([name, value]) => flag(name, value));
  const results = {};
  for (const mode of ['forward', 'forward-backward']) {
    const result = await vgg('bench', ...flags, '--mode', mode);
    const { mean, sd, runs, warmup, batch, portion, backend, threads, imagesPerSecond } = result;
    const seconds = (ms) => (ms / 1000).toFixed(3);
    console.log(`${mode} over ${runs} batches of ${batch} after ${warmup}: ${seconds(mean)} +/- ${seconds(sd)} s a batch`);
    console.log(
      `  ${imagesPerSecond.toFixed(2)} pictures a second on ${backend}, ${threads} threads${portion < batch ? `, in portions of ${portion}` : ''}`,
    );
    results[mode] = result;
  }
  const ratio = results['forward-backward'].mean / results.forward.mean;
  console.log(`forward and backward together take ${ratio.toFixed(2)} times as long as forward; backward alone ${(ratio - 1).toFixed(2)}`);
  if (out) await writeFile(out, `${JSON.stringify(results, null, 2)}\n`);
});
