import { openBackend } from '@vgg/core';
import { throwIfAborted, VggError } from '@vgg/errors';
import { canonicalise } from '@vgg/loaders';
import { pace } from '../../head/train/pace.js';
import { network as makeNetwork } from '../../network/architecture.js';
import { describePlan, megabytes, planMemory } from '../../network/memory.js';
import type { Layer, Network } from '../../network/plan.js';
import { type Summary, summarize } from '../../network/summary.js';
import { initialWeights, normalValues } from '../../train/initialize.js';
import { halved } from '../../train/memory.js';
import { openNetworkWeights } from '../../weights/open-weights.js';
import { weightSpecs } from '../../weights/specs.js';
import { WeightStore } from '../../weights/store.js';
import { archOf } from '../arch.js';
import { comparedText, compareMeasured, readMeasured } from '../bench-compare.js';
import { passes } from '../bench-passes.js';
import { planPortion } from '../bench-portion.js';
import { type Profile, profiler, profileTable } from '../bench-profile.js';
import { type Context, command } from '../command.js';
import { UsageError } from '../exit.js';
import { ARCH_DEFAULT, MODEL_FLAGS } from '../open-model.js';
import { type PictureSize, sizeOf } from '../size.js';
import { bytes, facts, plural } from '../text.js';

/** What a report is made of now and then: each of this many runs gets a line. */
const EVERY = 10;

export const bench = command({
  name: 'bench',
  about: 'measures how long a network takes for a batch of random pictures, in ms',
  args: '',
  details:
    'Pictures are normal with deviation 0.1. Mean, (population) standard deviation, median and least are over the measured runs, after the warm-up; reading the result back is part of a run. forward-backward measures the gradients of sum(x^2)/2 of the last layer before the softmax for every parameter, without dropout. A batch that does not fit the memory is worked off in portions, whose gradients are added up.',
  least: 0,
  most: 0,
  flags: {
    arch: { ...MODEL_FLAGS.arch, defaultText: `what the weights are of, else ${ARCH_DEFAULT}` },
    weights: { ...MODEL_FLAGS.weights, defaultText: 'random values by --seed' },
    batch: { type: 'integer', value: 'N', least: 1, most: 4096, about: 'pictures a batch', default: 1 },
    size: { type: 'string', value: 'N|HxW', about: 'size of the pictures in pixels', defaultText: "the network's own, 224" },
    mode: { type: 'choice', choices: ['forward', 'forward-backward'], about: 'what is measured', default: 'forward' },
    runs: { type: 'integer', value: 'N', least: 1, most: 1_000_000, about: 'measured batches', default: 10 },
    warmup: { type: 'integer', value: 'N', least: 0, most: 1_000_000, about: 'batches before them', default: 3 },
    part: {
      type: 'choice',
      choices: ['features', 'all'],
      about: 'the convolutions, or the dense layers too',
      defaultText: 'all at the size the dense layers are made for, else features',
    },
    'max-memory': {
      type: 'integer',
      value: 'MB',
      least: 1,
      about: 'what it may take; larger batches are worked off in portions',
      defaultText: "4295, the wasm heap's",
    },
    compare: { type: 'string', value: 'FILE', about: 'an earlier --json of the same work, to tell how much faster this is' },
    profile: { type: 'boolean', about: 'as many forward passes again, timed layer by layer' },
  },
  examples: [
    ['vgg bench --backend wasm --part all --profile', 'where the time of a forward pass goes'],
    ['vgg bench --arch vgg16 --runs 20', 'VGG-16 on one picture, with random weights'],
    ['vgg bench --size 384x513 --profile', 'its convolutions on a picture of another size'],
    ['vgg bench --batch 32 --warmup 10 --runs 100 --json', 'the protocol of the classical TensorFlow benchmark'],
    ['vgg bench --threads 1 --compare before.json', 'how much faster than what vgg bench --json wrote to that file'],
    ['vgg bench --batch 32 --mode forward-backward --max-memory 3000', 'the same backwards, in portions that fit 3 GB'],
  ],
  async run(_args, { arch, weights, batch, size, mode, runs, warmup, part, profile: profiled, compare, 'max-memory': limit }, context) {
    const { options, signal, warn } = context;
    const wanted = sizeOf('vgg bench --size', size);
    const before = compare === undefined ? undefined : await readMeasured(compare);
    const backend = await openBackend(options.backend ?? 'auto', {
      signal,
      threads: options.threads,
      memory: options.memory,
      onWarning: warn,
    });
    if (backend.info.warning) warn(backend.info.warning);
    if (profiled && mode !== 'forward') throw new UsageError(`vgg bench --profile: expected --mode forward, received ${mode}`);
    const watcher = profiled ? profiler(backend) : undefined;
    const { network, store, name } = await openNetwork(arch, weights, context);
    try {
      const { height, width } = wanted ?? { height: network.size, width: network.size };
      const layers = chosen(network, { height, width }, part, context);
      const summary = summarize({ ...network, layers }, { height, width });
      const { memory, threads } = backend.info;
      const maxMemoryBytes = limit === undefined ? undefined : limit * 1e6;
      let portion = planPortion(network, layers, { mode, batch, height, width, memory, threads, maxMemoryBytes, warn });
      const planOf = () =>
        memory && mode === 'forward'
          ? planMemory({ ...network, layers }, { size: { height, width }, batch: portion, memory, threads })
          : undefined;
      const shape = [batch, height, width, network.channels] as [number, number, number, number];
      const values = await normalValues(batch * height * width * network.channels, 0.1, options.seed, pace(signal, 'bench'));
      const open = () => passes[mode]({ network, layers, store, backend, values, shape, portion, context });
      let pass = await open();
      const times: number[] = [];
      let profile: Profile | undefined;
      try {
        for (let run = -warmup; run < runs; run++) {
          throwIfAborted(signal, 'bench');
          let start = performance.now();
          while (true) {
            try {
              await pass.run();
              break;
            } catch (error) {
              portion = halved('bench', portion, error, warn);
              pass.dispose();
              pass = await open();
              start = performance.now();
            }
          }
          const time = performance.now() - start;
          if (run >= 0) times.push(time);
          if (run >= 0 && (run + 1) % EVERY === 0) warn(`run ${run + 1} of ${runs}: ${time.toFixed(1)} ms`);
        }
        if (watcher) {
          for (let run = 0; run < runs; run++) {
            throwIfAborted(signal, 'bench');
            await pass.run(watcher.watch);
          }
          profile = watcher.result(summary, portion);
        }
      } finally {
        pass.dispose();
      }
      const plan = planOf();
      const { mean, sd, median, min } = statistics(times);
      const gflops = (operations(summary, mode) * batch) / mean / 1e6;
      const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
      const measured = {
        architecture: network.name,
        weights: name,
        backend: backend.name,
        simd: backend.info.simd,
        threads: backend.info.threads,
        mode,
        part: layers.length === network.layers.length ? 'all' : 'features',
        batch,
        portion,
        ...(height === width && { size: height }),
        height,
        width,
        runs,
        warmup,
        mean,
        sd,
        median,
        min,
        gflops,
        imagesPerSecond: (1000 * batch) / mean,
        peakMemoryBytes,
        heapBytes: backend.memory().heapBytes,
        memory,
        memoryPlan: plan,
        times,
        ...(profile && { profile }),
      };
      const compared = before && compareMeasured(compare!, before, measured);
      const json = { ...measured, ...(compared && { compared }) };
      return {
        json,
        text: () => {
          const lines = facts([
            ['network', `${network.name}, ${json.part}, ${shape.join(' x ')}, ${mode}, ${name} weights`],
            [
              'backend',
              `${backend.name}, ${plural(backend.info.threads, 'thread')}${backend.name === 'wasm' ? `, simd ${backend.info.simd}` : ''}`,
            ],
            ['mean', `${mean.toFixed(1)} ms +/- ${sd.toFixed(1)} ms a batch, over ${plural(runs, 'run')} after ${warmup}`],
            ...(compared ? [['compared', comparedText(compared)] as const] : []),
            ...(portion < batch ? [['portions', `of ${portion} of the ${batch} pictures at a time`] as const] : []),
            ['median', `${median.toFixed(1)} ms`],
            ['least', `${min.toFixed(1)} ms`],
            ['speed', `${gflops.toFixed(1)} GFLOP/s, ${json.imagesPerSecond.toFixed(2)} pictures a second`],
            ['peak memory', bytes(peakMemoryBytes)],
            ...(plan
              ? [['WASM memory', `${memory}: planned ${describePlan(plan)}, the heap has ${megabytes(json.heapBytes ?? 0)}`] as const]
              : []),
          ]);
          return profile ? `${lines}\n\n${profileTable(profile)}` : lines;
        },
      };
    } finally {
      await store.dispose();
    }
  },
});

async function openNetwork(
  arch: string | undefined,
  weights: string | undefined,
  { options, signal, onProgress }: Context,
): Promise<{ network: Network; store: WeightStore; name: string }> {
  const named = await archOf(arch);
  if (weights !== undefined) {
    const { network, file, mapping, name } = await openNetworkWeights(named, { weights, signal, onProgress }, true);
    return { network, store: new WeightStore(file, mapping), name };
  }
  const network = makeNetwork(named ?? ARCH_DEFAULT);
  const file = initialWeights(network, { seed: options.seed });
  return { network, store: new WeightStore(file, canonicalise(file, weightSpecs(network))), name: 'random' };
}

/** The layers of a part; the dense ones fit one size only. */
function chosen(network: Network, { height, width }: PictureSize, part: 'features' | 'all' | undefined, { warn }: Context): Layer[] {
  const end = network.layers.findIndex(({ name }) => name === 'flatten' || name.startsWith('fc'));
  const features = end < 0 ? [...network.layers] : network.layers.slice(0, end);
  const fits = (height === network.size && width === network.size) || !network.layers.some(({ kind }) => kind === 'flatten');
  if (part === 'all' && !network.top)
    throw new VggError(
      'VGG_WEIGHTS_MISSING',
      `bench --part all: these weights hold ${network.name} without its dense layers; use --part features`,
    );
  if (part === 'all' && !fits)
    throw new UsageError(
      `vgg bench --part all: the dense layers of ${network.name} take ${network.size} x ${network.size}, received ${height} x ${width}; use --part features`,
    );
  if (part === undefined && !fits)
    warn(`--size ${height}x${width}: measuring the features only, since the dense layers take ${network.size} x ${network.size}`);
  return part === 'features' || !fits ? features : [...network.layers];
}

/** A multiply-accumulate is two operations; going backwards takes as many for the inputs (but not of the first layer) and as many for the filters. */
function operations({ rows, macs }: Summary, mode: 'forward' | 'forward-backward'): number {
  return 2 * (mode === 'forward' ? macs : 3 * macs - rows[0].macs);
}

/** In two passes: the difference of the mean square and the squared mean can round below zero. */
function statistics(times: readonly number[]): { mean: number; sd: number; median: number; min: number } {
  const mean = times.reduce((a, b) => a + b, 0) / times.length;
  const sd = Math.sqrt(times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / times.length);
  const sorted = [...times].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return { mean, sd, median: sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2, min: sorted[0] };
}
