import { openBackend } from '../packages/core/src/index.js';
import { load } from '../packages/vgg/src/load.js';
import { noise, SMALL_PLAN, smallFile } from '../packages/vgg/test/small-weights.js';

/** A VGG of 32 x 32 pictures, wide enough that its layers are shared among threads. */
const PLAN = { ...SMALL_PLAN, name: 'soak', blocks: [[24, 24], [48], [64, 64]], dense: [600] };

/**
 * Many forwards of a small VGG on threads, and what memory they leave: node benchmarks/run.mjs soak [forwards] [threads]
 * Ends with an error when tensors or the heap have grown since a tenth of the forwards.
 */
export async function main([count = '10000', threads = '2']: string[]): Promise<void> {
  const forwards = Number(count);
  const backend = await openBackend('wasm', { threads: Number(threads) });
  const model = await load(undefined, { weights: await smallFile(PLAN), backend: 'wasm', threads: Number(threads) });
  const next = noise(5);
  const data = Uint8Array.from({ length: 32 * 32 * 3 }, () => Math.floor((next() + 1) * 127.9));
  const forward = () => model.extract({ width: 32, height: 32, channels: 3, data }, ['relu1_1', 'prob'], { size: 32 });
  const first = await forward();

  console.log(`node ${process.version}, ${forwards} forwards of 32x32, ${model.backend.threads} threads`);
  console.log('forwards'.padEnd(10), ...['tensors', 'tensor KB', 'heap MB', 'RSS MB', 'JS MB'].map((name) => name.padStart(10)));
  const look = (done: number) => {
    const { tensors, bytes, heapBytes = 0 } = backend.memory();
    (globalThis as { gc?: () => void }).gc?.();
    const { rss, heapUsed } = process.memoryUsage();
    const cells = [tensors, bytes / 1024, heapBytes / 2 ** 20, rss / 2 ** 20, heapUsed / 2 ** 20].map((cell) =>
      cell.toFixed(1).padStart(10),
    );
    console.log(String(done).padEnd(10), ...cells);
    return [tensors, bytes, heapBytes];
  };
  look(0);
  const start = performance.now();
  let early: number[] = [];
  for (let done = 1; done <= forwards; done++) {
    const maps = await forward();
    if (done === Math.ceil(forwards / 10)) early = look(done);
    if (maps.prob.data.some((value, i) => value !== first.prob.data[i])) throw new Error(`soak: forward ${done} gives other numbers`);
  }
  const late = look(forwards);
  console.log(`${((performance.now() - start) / forwards).toFixed(2)} ms a forward; threads at the end: ${model.backend.threads}`);
  model.dispose();
  if (late.some((each, i) => each > early[i])) throw new Error('soak: memory has grown');
}
