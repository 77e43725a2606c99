import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Backend, openBackend } from '../packages/core/src/index.js';
import { network } from '../packages/vgg/src/network/architecture.js';
import type { Network } from '../packages/vgg/src/network/plan.js';
import { planTraining, type TrainingPlan } from '../packages/vgg/src/train/memory.js';
import { Learner } from './support/learner.js';
import { median } from './support/median.js';

const MODES = ['kept', 'anew'] as const;
const STEPS = 4;

/** What a process of its own has measured. */
interface Measured {
  /** Of the heap, in MB of 10^6 bytes. */
  heap: number;
  /** Of a step, without the first. */
  ms: number;
}

/**
 * The WASM heap that training takes, beside what is planned, with all maps kept and with most computed anew on the way back, and the time of a
 * step; each in a process of its own, in turns: node benchmarks/run.mjs training-memory [architecture] [batch] [rounds]
 */
export async function main([arch = 'vgg16_bn', batch = '8', rounds = '3', mode]: string[]): Promise<void> {
  const net = network(arch, { dense: [], globalPool: true, classes: 10, size: 224 });
  const backend = await openBackend('wasm');
  const plans = MODES.map((each) => planOf(net, backend, Number(batch), each === 'anew'));
  if (mode !== undefined) {
    console.log(JSON.stringify(await measure(net, backend, Number(batch), plans[MODES.indexOf(mode as 'kept')])));
    return;
  }
  console.log(
    `node ${process.version}, ${backend.info.threads} threads, ${arch} without dense layers, 224x224, batch ${batch}, medians of ${rounds} rounds`,
  );
  const run = fileURLToPath(new URL('run.mjs', import.meta.url));
  const measured: Measured[][] = MODES.map(() => []);
  for (let round = 0; round < Number(rounds); round++) {
    MODES.forEach((each, i) => {
      const { stdout } = spawnSync(process.execPath, [run, 'training-memory', arch, batch, rounds, each], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      measured[i].push(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
    });
  }
  MODES.forEach((each, i) => {
    const { total, perPicture, cuts } = plans[i];
    const of = (what: keyof Measured) => median(measured[i].map((one) => one[what]));
    console.log(
      `${each}: planned ${mega(total)} MB, ${mega(perPicture)} a picture; heap ${of('heap').toFixed(0)} MB; ${of('ms').toFixed(0)} ms a step${cuts.length > 0 ? `; cut behind ${cuts.join(', ')}` : ''}`,
    );
  });
}

function planOf(net: Network, { info }: Backend, batch: number, recompute: boolean): TrainingPlan {
  const learning = net.layers.filter(({ kind }) => kind !== 'softmax');
  const sizes = { batch, height: net.size, width: net.size, frozen: [], learning, kept: 1, memory: info.memory, threads: info.threads };
  return planTraining(net, { ...sizes, recompute, maxMemoryBytes: Number.POSITIVE_INFINITY });
}

/** A few steps of SGD with momentum, by the trainer itself. */
async function measure(net: Network, backend: Backend, batch: number, { cuts }: TrainingPlan): Promise<Measured> {
  const learner = await Learner.open(backend, net, batch, cuts);
  const times: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const start = performance.now();
    await learner.step();
    if (step > 0) times.push(performance.now() - start);
  }
  return { heap: (backend.memory().heapBytes ?? 0) / 1e6, ms: median(times) };
}

const mega = (bytes: number) => (bytes / 1e6).toFixed(0);
