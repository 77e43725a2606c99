import { openBackend } from '../packages/core/src/index.js';
import { network } from '../packages/vgg/src/network/architecture.js';
import type { Network } from '../packages/vgg/src/network/plan.js';
import { processorTime, recordKernels } from './support/kernel-times.js';
import { Learner } from './support/learner.js';

const CLASSES = 10;

/** Milliseconds of the clock that was chosen. */
let now = (): number => performance.now();

/**
 * A training step of VGG-16 with batch normalisation at 32x32, by the trainer itself, with the share of each kernel; and of a compact VGG; and in the
 * same run a smaller step on WebGPU, where there is any, and on tfjs-backend-cpu:
 * node benchmarks/run.mjs train-step [rounds] [batch] [threads, such as 1,2] [vgg16|compact|all] [wall|cpu] [pictures of a step on the cpu backend, 0 for none]
 *   [pictures of a step on WebGPU, 0 for none]
 * With `cpu`, and one thread, processor time is measured, which a busy machine disturbs less. VK_ICD_FILENAMES names a driver for WebGPU in Node.
 */
export async function main([
  rounds = '5',
  batch = '128',
  threads = '1,2',
  part = 'all',
  clock = 'wall',
  few = '1',
  onGpu = '1',
]: string[]): Promise<void> {
  if (clock === 'cpu') now = processorTime;
  const nets = [
    ...(part === 'compact' ? [] : [network('cifar_vgg16_bn', { classes: CLASSES })]),
    ...(part === 'vgg16' ? [] : [network('compact')]),
  ];
  console.log(`node ${process.version}, batch ${batch}, ${clock} time, medians of ${rounds} rounds`);
  for (const count of threads.split(',').map(Number)) {
    const backend = await openBackend('wasm', { threads: count });
    for (const net of nets) {
      const learner = await Learner.open(backend, net, Number(batch));
      await tell(learner, `${net.name}, wasm, threads: ${count}`, Number(batch), Number(rounds));
      learner.dispose();
    }
  }
  if (Number(onGpu) > 0) await onWebGpu(nets, Number(onGpu));
  if (Number(few) < 1) return;
  const cpu = await openBackend('cpu');
  for (const net of nets) {
    const learner = await Learner.open(cpu, net, Number(few));
    await tell(learner, `${net.name}, tfjs-backend-cpu, batch ${few}, one step`, Number(few), 1, 0);
    learner.dispose();
  }
}

async function onWebGpu(nets: readonly Network[], batch: number): Promise<void> {
  const backend = await openBackend('webgpu').catch((error: Error) => {
    console.log(`\nwebgpu: ${error.message}`);
  });
  if (!backend) return;
  for (const net of nets) {
    const learner = await Learner.open(backend, net, batch);
    // Its kernels run behind the calls: only the whole step can be timed.
    await tell(learner, `${net.name}, webgpu, batch ${batch}, one step`, batch, 1, 1, false);
    learner.dispose();
  }
}

async function tell(learner: Learner, name: string, batch: number, rounds: number, warmUp = 1, hasShares = true): Promise<void> {
  const steps: { ms: number; kernels: Map<string, number> }[] = [];
  for (let round = -warmUp; round < rounds; round++) {
    const stop = recordKernels(now);
    const start = now();
    const loss = await learner.step();
    const ms = now() - start;
    const kernels = stop();
    if (!Number.isFinite(loss)) throw new Error(`${name}: the loss is ${loss}`);
    if (round >= 0) steps.push({ ms, kernels });
  }
  // The parts of one step, so that they add up.
  const { ms, kernels } = steps.sort((a, b) => a.ms - b.ms)[steps.length >> 1]!;
  console.log(`\n${name}: ${ms.toFixed(0)} ms a step, ${((1000 * batch) / ms).toFixed(batch < 10 ? 3 : 1)} images/s`);
  if (!hasShares) return;
  let rest = ms;
  const row = (kernel: string, part: number) =>
    console.log(`  ${kernel.padEnd(32)} ${part.toFixed(1).padStart(9)} ms  ${((100 * part) / ms).toFixed(1).padStart(5)} %`);
  for (const [kernel, part] of [...kernels].sort((a, b) => b[1] - a[1])) {
    rest -= part;
    if (part >= ms / 1000) row(kernel, part);
  }
  row('outside of kernels', rest);
}
