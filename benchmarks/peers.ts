import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openPage, type PageOptions } from './peers/page.js';
import { median } from './support/median.js';
import { heFile } from './weights/files.js';

const HERE = fileURLToPath(new URL('peers/', import.meta.url));
const PACKAGE = fileURLToPath(new URL('../packages/vgg/dist/index.js', import.meta.url));

/** The programs that are compared; each runs in a process of its own, which sleeps while another is measured. */
type Engine = 'vgg' | 'onnxruntime-node' | 'onnxruntime-web' | 'tfjs-backend-wasm';
const SCRIPTS: Record<Engine, string> = {
  vgg: 'vgg.mjs',
  'onnxruntime-node': 'ort-node.mjs',
  'onnxruntime-web': 'ort-web.mjs',
  'tfjs-backend-wasm': 'tfjs.mjs',
};

/** One line of the table: the same work by ours and by another. */
interface Comparison {
  work: string;
  layer: 'pool5' | 'prob';
  batch: number;
  threads: number;
  peers: readonly Engine[];
  /** Ours with it, in Node 24 and later. */
  turbo?: boolean;
}

const COMPARISONS: readonly Comparison[] = [
  {
    work: 'convolutions, 1 thread',
    layer: 'pool5',
    batch: 1,
    threads: 1,
    peers: ['onnxruntime-node', 'onnxruntime-web', 'tfjs-backend-wasm'],
  },
  { work: 'convolutions, 2 threads', layer: 'pool5', batch: 1, threads: 2, peers: ['onnxruntime-node', 'onnxruntime-web'] },
  { work: 'convolutions, turbo, 1 thread', layer: 'pool5', batch: 1, threads: 1, peers: ['onnxruntime-node'], turbo: true },
  { work: 'convolutions, turbo, 2 threads', layer: 'pool5', batch: 1, threads: 2, peers: ['onnxruntime-node'], turbo: true },
  { work: 'convolutions, batch 8, 1 thread', layer: 'pool5', batch: 8, threads: 1, peers: ['onnxruntime-node'] },
  { work: 'all of VGG-16, 1 thread', layer: 'prob', batch: 1, threads: 1, peers: ['onnxruntime-node'] },
  { work: 'all of VGG-16, 2 threads', layer: 'prob', batch: 1, threads: 2, peers: ['onnxruntime-node'] },
];

const SIZE = 224;

/**
 * `node benchmarks/run.mjs peers [ROUNDS] [FOLDER] [NODE ...] [--only WORK]`: VGG-16 at 224 x 224 with the same weights and picture by ours and by onnxruntime-node,
 * onnxruntime-web and tfjs-backend-wasm: one after the other in every round, each in a process of its own, on every NODE (default: the one that
 * runs this); with --only those rows alone whose work has these words. Each turn is two counted forwards behind one that is not. Medians, the ratio of the medians, and what the set-up and the first forward take.
 */
export async function main(options: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args: options, options: { only: { type: 'string' } }, allowPositionals: true });
  const [rounds = '9', folder = join(tmpdir(), 'vgg-peers'), ...nodes] = positionals;
  if (!existsSync(PACKAGE)) throw new Error('peers: expected the built package; run npm run build first');
  mkdirSync(folder, { recursive: true });
  installPeers();
  const files = {
    pool5: { weights: await heFile(folder, 'safetensors', 'pool5'), model: await heFile(folder, 'onnx', 'pool5') },
    conv5_3: { weights: await heFile(folder, 'safetensors', 'conv5_3'), model: await heFile(folder, 'onnx', 'conv5_3') },
    prob: { weights: await heFile(folder, 'safetensors', 'prob'), model: await heFile(folder, 'onnx', 'prob') },
  };
  const picture = (batch: number) => join(folder, `picture-${batch}.bin`);
  for (const batch of [1, 8]) writeFileSync(picture(batch), pixels(batch));
  const pixelsPath = join(folder, 'pixels.bin');
  writeFileSync(
    pixelsPath,
    Uint8Array.from({ length: SIZE * SIZE * 3 }, (_, i) => (i * 31) & 255),
  );
  const work = (layer: keyof typeof files, batch: number, threads: number) => ({
    ...{ weightsPath: files[layer].weights, modelPath: files[layer].model, pixelsPath: picture(batch) },
    ...{ layer, batch, threads, size: SIZE },
  });

  console.log(`${cpus()[0]?.model}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; ${rounds} rounds\n`);
  for (const node of nodes.length > 0 ? nodes : [process.execPath]) {
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
    console.log(`## Node ${version.slice(1)}\n`);
    console.log('| work | ours, ms | peer | peer, ms | ratio, ours / peer | peer / ours |');
    console.log('|---|---|---|---|---|---|');
    const setUps: string[] = [];
    for (const { work: name, layer, batch, threads, peers, turbo } of COMPARISONS) {
      if (turbo && Number.parseInt(version.slice(1), 10) < 24) continue;
      if (values.only && !name.includes(values.only)) continue;
      const engines = await Promise.all(
        (['vgg', ...peers] as Engine[]).map(async (engine) => ({
          name: engine,
          times: [] as number[],
          process: new Engined(node, engine),
        })),
      );
      try {
        const opened = new Map<Engine, Opened>();
        for (const engine of engines)
          opened.set(engine.name, await engine.process.ask<Opened>('open', { ...work(layer, batch, threads), turbo }));
        for (let round = -2; round < Number(rounds); round++) {
          for (const engine of engines) {
            await pause();
            const { times } = await engine.process.ask<{ times: number[] }>('run');
            if (round >= 0) engine.times.push(...times);
          }
        }
        const [ours, ...others] = engines.map((engine) => ({ peer: engine.name, ms: median(engine.times) / batch }));
        for (const { peer, ms } of others) {
          console.log(
            `| ${name} | ${ours!.ms.toFixed(1)} | ${peer} | ${ms.toFixed(1)} | ${(ours!.ms / ms).toFixed(2)} | ${(ms / ours!.ms).toFixed(2)} |`,
          );
        }
        const { setUp, first, heap } = opened.get('vgg')!;
        const { peak } = await engines[0]!.process.ask<{ peak: number }>('end');
        setUps.push(
          `| ${name} | ${(setUp / 1000).toFixed(2)} | ${(first / (ours!.ms * batch)).toFixed(2)} | ${megabytes(heap ?? 0)} | ${megabytes(peak)} |`,
        );
      } finally {
        for (const engine of engines) engine.process.kill();
      }
    }
    console.log('\n| work | set-up, s | first forward / median | heap, MB | peak memory of the process, MB |\n|---|---|---|---|---|');
    console.log(`${setUps.join('\n')}\n`);
    if (values.only) continue;
    await comparePage(node, Number(rounds), work('pool5', 1, 2));
    console.log(
      `conv5_3 and that of onnxruntime-node differ by ${await difference(node, folder, work('conv5_3', 1, 2))} of the maximum.\n`,
    );
  }
}

/** An isolated page of Chromium against Node, both from the bytes of a picture to a map. */
async function comparePage(node: string, rounds: number, options: PageOptions): Promise<void> {
  const engine = new Engined(node, 'vgg');
  const page = await openPage(options);
  try {
    await engine.ask('open', options);
    const times: [number[], number[]] = [[], []];
    for (let round = -2; round < rounds; round++) {
      await pause();
      await page.run();
      const each = [[await page.run(), await page.run()]];
      await pause();
      each.push((await engine.ask<{ times: number[] }>('run')).times);
      if (round >= 0) each.forEach((ms, i) => void times[i]!.push(...ms));
    }
    const [inPage, inNode] = times.map(median) as [number, number];
    console.log(
      `Chromium, isolated, ${page.threads} threads, from a picture's bytes to pool5: ${inPage.toFixed(1)} ms, Node ${inNode.toFixed(1)} ms, ratio ${(inPage / inNode).toFixed(2)}.`,
    );
  } finally {
    engine.kill();
    await page.close();
  }
}

interface Opened {
  setUp: number;
  first: number;
  heap?: number;
}

/** An engine in a process of its own. */
class Engined {
  readonly #child: ChildProcess;

  constructor(node: string, name: Engine) {
    this.#child = fork(join(HERE, SCRIPTS[name]), [], { execPath: node, execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  }

  ask<Answer>(what: string, options: object = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const stopped = (code: number | null) => reject(new Error(`peers: a process ended with ${code}`));
      this.#child.once('exit', stopped);
      this.#child.once('message', (answer: Answer & { error?: string }) => {
        this.#child.off('exit', stopped);
        if (answer.error) reject(new Error(answer.error));
        else resolve(answer);
      });
      this.#child.send({ what, ...options });
    });
  }

  kill(): void {
    this.#child.removeAllListeners();
    this.#child.kill('SIGKILL');
  }
}

/** Largest difference of the two maps as a part of the largest value. */
async function difference(node: string, folder: string, options: object): Promise<string> {
  const values: Float32Array[] = [];
  for (const name of ['vgg', 'onnxruntime-node'] as const) {
    const engine = new Engined(node, name);
    try {
      await engine.ask('open', options);
      const path = join(folder, 'output.bin');
      await engine.ask('output', { path });
      values.push(new Float32Array(new Uint8Array(readFileSync(path)).buffer));
    } finally {
      engine.kill();
    }
  }
  const [ours, theirs] = values as [Float32Array, Float32Array];
  const channels = 512;
  const cells = ours.length / channels;
  let most = 0;
  let error = 0;
  for (let cell = 0; cell < cells; cell++) {
    for (let channel = 0; channel < channels; channel++) {
      const expected = theirs[channel * cells + cell]!;
      most = Math.max(most, Math.abs(expected));
      error = Math.max(error, Math.abs(ours[cell * channels + channel]! - expected));
    }
  }
  return (error / most).toExponential(1);
}

/** What no test and no user needs is not in the lock file. */
function installPeers(): void {
  if (existsSync(join(HERE, 'node_modules/onnxruntime-node'))) return;
  console.log('installing onnxruntime-node for this benchmark');
  execFileSync('npm', ['install', '--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund', '--workspaces=false'], {
    cwd: HERE,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Threads look for work for a while when there is none any more; those of one engine must not do so while the next is measured. */
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 200));

/** Noise, by the generator of Numerical Recipes. */
function pixels(batch: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length: batch * SIZE * SIZE * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
