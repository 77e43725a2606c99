// Article 2: the same where memory is short. What a batch takes is known before anything is allocated, and one that does not fit is
// worked off in portions.
//   node examples/articles/2-short-memory.mjs [--arch D] [--size 224] [--batch 32] [--max-memory 3500] [--warmup 1] [--runs 2]
//        [--part features] [--backend wasm] [--seed 0]
// --max-memory is in millions of bytes.
import { isVggError, network, planMemory, random, trainNetwork } from 'vgg';
import { archOf, flag, start, vgg } from './common.mjs';

const options = {
  arch: { type: 'string', default: 'D' },
  size: { type: 'string' },
  batch: { type: 'string', default: '32' },
  'max-memory': { type: 'string', default: '3500' },
  warmup: { type: 'string', default: '1' },
  runs: { type: 'string', default: '2' },
  part: { type: 'string' },
  backend: { type: 'string', default: 'wasm' },
  seed: { type: 'string', default: '0' },
};

/** Two classes of noise, dark and light. */
function noise(count, side, seed) {
  const { below } = random(seed);
  const pictures = (least) =>
    Array.from({ length: count / 2 }, () => ({
      width: side,
      height: side,
      data: new Uint8Array(side * side * 3).map(() => least + below(100)),
    }));
  return { dark: pictures(0), light: pictures(120) };
}

await start(import.meta.url, options, async (values) => {
  const [batch, seed] = [Number(values.batch), Number(values.seed)];
  const net = network(archOf(values.arch), values.size ? { size: Number(values.size) } : {});
  const mega = (bytes) => `${Math.ceil(bytes / 1e6)} MB`;

  // 1. Who holds the memory, before it is taken.
  for (const memory of ['fast', 'balanced', 'small']) {
    const { weights, filters, activations, scratch, total } = planMemory(net, { batch, memory });
    console.log(
      `forward, batch ${batch}, memory ${memory}: ${mega(total)}: weights ${mega(weights)}, filters ${mega(filters)}, maps ${mega(activations)}, scratch ${mega(scratch)}`,
    );
  }

  // 2. The benchmark under the cap.
  const { arch, size, 'max-memory': most, warmup, runs, part, backend } = values;
  const flags = Object.entries({ arch, size, batch, 'max-memory': most, warmup, runs, part, backend, seed }).flatMap(([name, value]) =>
    flag(name, value),
  );
  for (const mode of ['forward', 'forward-backward']) {
    const { portion, mean, sd } = await vgg('bench', ...flags, '--mode', mode);
    console.log(
      `${mode} in ${most} MB: portions of ${portion}, ${(mean / 1000).toFixed(3)} +/- ${(sd / 1000).toFixed(3)} s a batch of ${batch}`,
    );
  }

  // 3. A portion changes the memory, not what is learnt: gradients are added up over the batch.
  const small = { name: 'small', blocks: [[16], [32]], globalPool: true, dense: [], size: 64 };
  const common = { epochs: 3, batch: 32, rate: 0.01, seed, backend, restoreBest: false };
  const learn = async (more) => (await trainNetwork({ arch: small }, noise(64, 64, seed), { ...common, ...more })).history.at(-1).loss;
  const fits = await learn({});
  const capped = await learn({ maxMemoryBytes: 12e6, onWarning: (line) => console.log(line) });
  console.log(`loss after 3 epochs: ${fits.toFixed(5)} in one go, ${capped.toFixed(5)} in portions`);

  // 4. Where not even one picture fits, it is said at once, with what to do.
  await learn({ maxMemoryBytes: 1e6 }).catch((error) => {
    if (!isVggError(error, 'VGG_MEMORY')) throw error;
    console.log(`${error.message} [${error.code}]`);
  });
});
