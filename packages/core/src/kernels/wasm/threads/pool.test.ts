import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { referenceConv2d } from '../../reference.js';
import { type Conv3x3, installConv3x3 } from '../conv3x3.js';
import { FILTER_WORK_BYTES } from '../conv3x3-engine.js';
import { ITEM_KERNELS, loadConv3x3 } from '../conv3x3-module.js';
import { instantiate } from '../instantiate.js';
import type { WasmRuntime } from '../runtime.js';
import { aligned } from '../workspace.js';
import { signalOf } from './layout.js';
import { type PoolOptions, ThreadPool } from './pool.js';
import type { WorkerFactory, WorkerLike } from './spawn.js';

type Shape = [batch: number, height: number, width: number, inChannels: number, outChannels: number];

/** Enough work to be shared, each divided in another way. */
const SHAPES: [how: string, shape: Shape][] = [
  ['rows, no transform', [1, 90, 70, 3, 24]],
  ['strips', [1, 96, 90, 24, 24]],
  ['strips of a batch', [5, 40, 41, 20, 17]],
  ['panels', [1, 28, 30, 136, 72]],
  ['panels, strip after strip', [6, 30, 31, 140, 40]],
  ['maps of 2 x 2', [70, 2, 2, 70, 72]],
  ['few panels', [1, 60, 61, 150, 9]],
  ['not shared', [1, 6, 7, 16, 16]],
];
const THREADS = [1, 2, 3, 4];
/** Of the largest output; these numbers, spread evenly, reach 1.6e-5 at the corners of a tile. */
const LIMIT = 2e-5;

let runtime: WasmRuntime;
let pool: ThreadPool | undefined;
let conv: Conv3x3 | undefined;
let warnings: string[] = [];
let bytes = 0;

async function open(threads: number, options: PoolOptions = {}, shared = true): Promise<ThreadPool> {
  const heap = (await instantiate({ simd: true, shared })).runtime;
  const blocks = new Map<number, number>();
  bytes = 0;
  runtime = {
    ...heap,
    malloc(size) {
      const pointer = heap.malloc(size);
      blocks.set(pointer, size);
      bytes += size;
      return pointer;
    },
    free(pointer) {
      bytes -= blocks.get(pointer) ?? Number.NaN;
      heap.free(pointer);
    },
  };
  if (tf.findBackendFactory('wasm')) tf.removeBackend('wasm');
  tf.registerBackend('wasm', () => heap.backend, 2);
  await tf.setBackend('wasm');
  pool = new ThreadPool(runtime, { onWarning: (message) => warnings.push(message), ...options });
  // Not by measuring: two builds round differently.
  conv = await installConv3x3(runtime, { pool, build: 'fixed' });
  await pool.grow(threads);
  return pool;
}

beforeEach(() => {
  warnings = [];
});
afterEach(() => {
  conv?.uninstall();
  pool?.close();
  tf.removeBackend('wasm');
});

function values(shape: number[], seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

interface Layer {
  x: tf.Tensor4D;
  filter: tf.Tensor4D;
  bias: tf.Tensor1D;
}
function layerOf([batch, height, width, ins, outs]: Shape): Layer {
  const [x, filter, bias] = [[batch, height, width, ins], [3, 3, ins, outs], [outs]].map((shape, i) =>
    tf.tensor(values(shape, i + 1), shape),
  );
  return { x: x as tf.Tensor4D, filter: filter as tf.Tensor4D, bias: bias as tf.Tensor1D };
}
const convolve = ({ x, filter, bias }: Layer): tf.Tensor4D =>
  tf.fused.conv2d({ x, filter, bias, strides: 1, pad: 'same', activation: 'relu' });

/** The outputs of a layer that is made anew, so that its filter is transformed too. */
function outputs(shape: Shape): Float32Array {
  return tf.tidy(() => convolve(layerOf(shape)).dataSync<'float32'>());
}

function errorOf(shape: Shape, actual: Float32Array): number {
  const [batch, height, width, ins, outs] = shape;
  const { data } = referenceConv2d(
    { data: values([batch, height, width, ins], 1), shape: [batch, height, width, ins] },
    { data: values([3, 3, ins, outs], 2), shape: [3, 3, ins, outs] },
    values([outs], 3),
    { activation: 'relu' },
  );
  let error = 0;
  let most = 0;
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(actual[i])) return Infinity;
    error = Math.max(error, Math.abs(actual[i] - data[i]));
    most = Math.max(most, Math.abs(data[i]));
  }
  return error / most;
}

const same = (a: Float32Array, b: Float32Array): boolean => equal(new Uint32Array(a.buffer), new Uint32Array(b.buffer));
function equal(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((word, i) => word === b[i]);
}

describe('a pool of threads', () => {
  const truth = new Map<Shape, Float32Array>();
  beforeAll(async () => {
    await open(1);
    for (const [, shape] of SHAPES) truth.set(shape, outputs(shape));
    conv?.uninstall();
  });

  it.each(SHAPES)('%s: agrees with the definition', async (_, shape) => {
    await open(1);
    expect(errorOf(shape, truth.get(shape)!)).toBeLessThan(LIMIT);
  });

  it.each(THREADS)('%i threads compute the same bits', async (threads) => {
    const { threads: running } = await open(threads);
    expect(running).toBe(threads);
    for (let round = 0; round < 3; round++) {
      for (const [how, shape] of SHAPES) expect(same(outputs(shape), truth.get(shape)!), `${how}, round ${round}`).toBe(true);
    }
    expect(warnings).toEqual([]);
  });

  it('more threads than there is work for', async () => {
    await open(9);
    for (const [how, shape] of SHAPES) expect(same(outputs(shape), truth.get(shape)!), how).toBe(true);
  });

  it('uses as many as the limit says, and grows', async () => {
    const pool = await open(2);
    await Promise.all([pool.grow(3), pool.grow(4), pool.grow(2)]);
    expect(pool.threads).toBe(4);
    for (const limit of [1, 3, 2]) {
      pool.limit = limit;
      expect(pool.threads).toBe(limit);
      for (const [how, shape] of SHAPES) expect(same(outputs(shape), truth.get(shape)!), how).toBe(true);
    }
  });

  it('really uses the others', async () => {
    const pool = await open(2);
    const { kernels, module } = await loadConv3x3(runtime, 'fixed');
    // The caller's kernel counts its calls.
    let mine = 0;
    const counted = {
      ...kernels,
      transformFilterItem: (job: number, work: number, item: number) => {
        mine++;
        kernels.transformFilterItem(job, work, item);
      },
    };
    const items = await pool.load(module, counted, ITEM_KERNELS);
    // The class Filter of assembly/jobs.ts.
    const stride = FILTER_WORK_BYTES;
    const block = runtime.malloc(192 + 4 * (9 * 64 * 512 + 64 * 64 * 512) + 2 * stride);
    const job = aligned(block);
    const input = job + 64;
    const output = input + 9 * 64 * 512 * 4;
    new Uint32Array(runtime.memory.buffer, job, 7).set([input, output, 64, 512, 64, 8, 0]);
    const work = output + 64 * 64 * 512 * 4;
    let theirs = 0;
    // A busy machine may let the other one wait for a while.
    for (const until = performance.now() + 10_000; theirs === 0 && performance.now() < until; ) {
      mine = 0;
      pool.run(items.transformFilterItem, { job, work, stride, items: 64, threads: 2 });
      theirs = 64 - mine;
    }
    expect(theirs).toBeGreaterThan(0);
    runtime.free(block);
  });

  it('works on when the heap has grown', async () => {
    await open(3);
    const before = runtime.memory.buffer.byteLength;
    const filler: tf.Tensor[] = [];
    while (runtime.memory.buffer.byteLength === before) filler.push(tf.ones([1024, 1024, 4]));
    for (const [how, shape] of SHAPES) expect(same(outputs(shape), truth.get(shape)!), how).toBe(true);
    // tfjs's own kernels and reads work on shared memory as well.
    const sum = tf.tidy(() => tf.sum(tf.matMul(tf.ones([8, 8]), tf.ones([8, 8]))).dataSync()[0]);
    expect(sum).toBe(512);
    tf.dispose(filler);
    expect(warnings).toEqual([]);
  });

  it('a very wide picture: as many threads as there is room for', async () => {
    const pool = await open(4);
    const wide: Shape = [1, 4, 20_000, 64, 8];
    pool.limit = 1;
    const alone = outputs(wide);
    pool.limit = 4;
    expect(same(outputs(wide), alone)).toBe(true);
    expect(bytes).toBeLessThan(300 * 2 ** 20);
  });

  it('two modules, their kernels in turn', async () => {
    const pool = await open(3);
    const shape = SHAPES[1][1];
    const loaded = await loadConv3x3(runtime, 'fixed');
    await pool.load(loaded.module, loaded.kernels, ITEM_KERNELS);
    expect(pool.threads).toBe(3);
    await pool.grow(4);
    expect(pool.threads).toBe(4);
    expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
  });

  it('500 convolutions leave heap and tensors as they were', async () => {
    await open(3);
    const work = () => tf.tidy(() => void convolve(layerOf([1, 40, 30, 24, 16])));
    for (let i = 0; i < 5; i++) work();
    const before = [bytes, runtime.memory.buffer.byteLength, tf.memory().numTensors];
    for (let i = 0; i < 500; i++) work();
    expect([bytes, runtime.memory.buffer.byteLength, tf.memory().numTensors]).toEqual(before);
  });

  it('memory that is not shared: one thread', async () => {
    const { threads } = await open(4, {}, false);
    expect(threads).toBe(1);
    for (const [how, shape] of SHAPES) expect(same(outputs(shape), truth.get(shape)!), how).toBe(true);
    expect(warnings).toEqual([]);
  });

  it('a closed pool computes on the calling thread', async () => {
    const pool = await open(3);
    pool.close();
    expect(pool.threads).toBe(1);
    await pool.grow(3);
    expect(pool.threads).toBe(1);
    for (const [how, shape] of SHAPES) expect(same(outputs(shape), truth.get(shape)!), how).toBe(true);
  });

  it('idle workers sleep', async () => {
    const pool = await open(3);
    const { words } = (pool as unknown as { crew: { words: Int32Array } }).crew;
    outputs(SHAPES[1][1]);
    // Waking tells how many slept; one that is woken for nothing goes back to sleep.
    const asleep = [0, 0];
    for (let look = 0; look < 500 && asleep.includes(0); look++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      for (const worker of [0, 1]) asleep[worker] += Atomics.notify(words, signalOf(worker));
    }
    expect(asleep).not.toContain(0);
    expect(pool.threads).toBe(3);
    for (const [how, shape] of SHAPES) expect(same(outputs(shape), truth.get(shape)!), how).toBe(true);
  });

  describe('when workers fail', () => {
    /** The pool's own workers, with a few lines before the script, and a list of them. */
    function workers(before = ''): { factory: WorkerFactory; all: WorkerLike[] } {
      const all: WorkerLike[] = [];
      const factory: WorkerFactory = (source) => {
        const worker = startWorker(before + source);
        all.push(worker);
        return worker;
      };
      return { factory, all };
    }
    /** Claims items as the script does, and then something happens. */
    const afterClaim = (what: string): string =>
      `{ const add = Atomics.add; Atomics.add = (words, at, by) => { const was = add(words, at, by); if (at === 16) ${what}; return was; }; }`;
    const shape = SHAPES[1][1];

    it('one that is ended is replaced', async () => {
      const { factory, all } = workers();
      const pool = await open(3, { workerFactory: factory });
      const ended = exitOf(all[0]);
      void all[0].terminate();
      // It may be gone already, and nobody knows yet.
      for (let i = 0; i < 20; i++) expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
      await ended;
      await pool.grow(3);
      expect(pool.threads).toBe(3);
      // A page is not told.
      expect(all).toHaveLength(typeof document === 'undefined' ? 3 : 2);
      expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
      expect(warnings).toEqual([]);
    });

    it('one that is gone without a word, as in a page, is replaced when it has been silent for long', async () => {
      const { factory, all } = workers();
      const silent: WorkerFactory = (source) => {
        const worker = factory(source);
        // In Node an event tells that a worker has ended.
        if (worker.on) {
          const on = worker.on.bind(worker);
          worker.on = (type, listener) => (type === 'message' ? on(type, listener) : undefined);
        }
        return worker;
      };
      const pool = await open(2, { workerFactory: silent, patience: 1000 });
      expect(pool.threads).toBe(2);
      void all[0].terminate();
      // With the event loop's turns, as a page has them.
      for (let i = 0; i < 2000 && all.length === 1; i++) {
        expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await pool.grow(2);
      expect([pool.threads, all.length]).toEqual([2, 2]);
      for (let i = 0; i < 20; i++) expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
      expect(warnings).toEqual([]);
    });

    it.runIf(typeof document === 'undefined')(
      'the next ones are replaced too, up to four; then fewer go on, with one warning',
      async () => {
        const { factory, all } = workers();
        const pool = await open(3, { workerFactory: factory });
        const end = async (worker: WorkerLike) => {
          const ended = exitOf(worker);
          void worker.terminate();
          await ended;
          await pool.grow(3);
          expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
        };
        for (let times = 1; times <= 4; times++) {
          await end(all[times]);
          expect([pool.threads, all.length]).toEqual([3, 2 + times]);
        }
        expect(warnings).toEqual([]);
        await end(all[0]);
        expect(pool.threads).toBe(2);
        await end(all[5]);
        expect([pool.threads, all.length]).toEqual([1, 6]);
        expect(warnings).toEqual(['wasm: threads were lost 5 times (it ended with code 1); going on with 2 threads']);
      },
    );

    it('one that hangs in the middle of its work: the work is done all the same, and others take the place of all', async () => {
      const hanging = workers(afterClaim('for (;;);'));
      const good = workers();
      let started = 0;
      const factory: WorkerFactory = (source) => (started++ < 2 ? hanging : good).factory(source);
      const pool = await open(3, { workerFactory: factory, patience: 1000 });
      expect(pool.threads).toBe(3);
      for (let i = 0; i < 500 && pool.threads === 3; i++) expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
      expect(pool.threads).toBe(1);
      expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
      await pool.grow(3);
      expect(pool.threads).toBe(3);
      expect(started).toBe(4);
      for (let i = 0; i < 20; i++) expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
      expect(warnings).toEqual([]);
    });

    it('those that hang whenever they work: one thread in the end, with one warning', async () => {
      const { factory, all } = workers(afterClaim('for (;;);'));
      const pool = await open(2, { workerFactory: factory, patience: 300 });
      for (let i = 0; i < 2000 && warnings.length === 0; i++) {
        expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
        await pool.grow(2);
      }
      expect(warnings).toEqual(['wasm: threads were lost 5 times (no result within 300 ms); going on with one thread']);
      expect(all).toHaveLength(5);
      await pool.grow(4);
      expect(pool.threads).toBe(1);
      expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
    });

    it('one that fails in the middle of its work: the work is done all the same', async () => {
      const { factory } = workers(afterClaim("throw new Error('on purpose')"));
      await open(3, { workerFactory: factory });
      for (let i = 0; i < 10; i++) expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
      expect(warnings).toEqual([]);
    });

    it('scripts that throw, and workers that cannot be made: one thread, with a warning', async () => {
      const broken = await open(3, { workerFactory: workers("throw new Error('on purpose');").factory });
      expect(broken.threads).toBe(1);
      expect(warnings).toEqual([expect.stringMatching(/^wasm: a thread was lost \(.*on purpose.*\); going on with one thread$/)]);
      expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
      conv?.uninstall();
      warnings = [];
      const none = await open(3, {
        workerFactory: () => {
          throw new Error('on purpose');
        },
      });
      expect(none.threads).toBe(1);
      expect(warnings).toEqual(['wasm: a worker cannot be started (on purpose); going on with one thread']);
    });

    it('workers that never answer: one thread, with a warning', async () => {
      const { factory } = workers('for (;;);');
      const pool = await open(2, { workerFactory: factory, patience: 300 });
      expect(pool.threads).toBe(1);
      expect(warnings).toEqual(['wasm: a thread was lost (no answer within 300 ms); going on with one thread']);
    });

    it('an exception of the calling thread is thrown on, and the next job is right', async () => {
      const pool = await open(3);
      const { kernels, module } = await loadConv3x3(runtime, 'fixed');
      const failing = {
        ...kernels,
        transformFilterItem: () => {
          throw new Error('on purpose');
        },
      };
      const items = await pool.load(module, failing, ITEM_KERNELS);
      expect(() => pool.run(items.transformFilterItem, { job: 0, work: 0, stride: 0, items: 1, threads: 3 })).toThrow('on purpose');
      expect(same(outputs(shape), truth.get(shape)!)).toBe(true);
    });
  });
});

/** A worker as the pool makes it by itself. */
function startWorker(source: string): WorkerLike {
  let made: WorkerLike | undefined;
  const { document, process } = globalThis as unknown as {
    document?: unknown;
    process?: { getBuiltinModule?(name: string): { Worker: new (source: string, options: object) => WorkerLike } };
  };
  if (document === undefined) made = new (process!.getBuiltinModule!('node:worker_threads').Worker)(source, { eval: true });
  else made = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))) as WorkerLike;
  return made;
}

/** When a worker has ended; a Web Worker does not tell. */
async function exitOf(worker: WorkerLike): Promise<void> {
  if (worker.on) await new Promise((resolve) => worker.on?.('exit', resolve));
  else await new Promise((resolve) => setTimeout(resolve, 100));
}
