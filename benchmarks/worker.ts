import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '@vgg/loaders';
import { chromium, type Page } from 'playwright';
import type * as Vgg from '../packages/vgg/src/index.ts';
import { network } from '../packages/vgg/src/network/architecture.ts';
import { initialWeights } from '../packages/vgg/src/train/initialize.ts';
import { CHROMIUM_ARGS, findChromium, NO_CHROMIUM } from '../scripts/find-chromium.ts';

/** VGG-16's convolutions with narrower dense layers, so that the file is a tenth of the size. */
const PLAN = {
  name: 'narrow',
  blocks: [
    [64, 64],
    [128, 128],
    [256, 256, 256],
    [512, 512, 512],
    [512, 512, 512],
  ],
  dense: [256],
};

interface Measured {
  readonly milliseconds: number;
  readonly longest: number;
  readonly tasks: number[];
}

/**
 * How long a page is not free while it classifies pictures of 640 x 480 with VGG-16's convolutions, with the engine in the page and in a
 * worker: node benchmarks/run.mjs worker [pictures], after npm run build.
 */
export async function main([pictures = '8']: string[]): Promise<void> {
  const executablePath = findChromium();
  if (!executablePath) throw new Error(NO_CHROMIUM);
  const folder = await mkdtemp(join(tmpdir(), 'vgg-worker-'));
  const weights = join(folder, 'narrow.safetensors');
  const net = network(PLAN);
  const file = initialWeights(net, { seed: 1 });
  const tensors = [...file.tensors.values()].map(({ name, shape }) => ({
    name,
    shape,
    values: async () => (await file.read(name)).slice(),
  }));
  await writeFile(weights, writeSafetensors(tensors, { 'vgg.plan': JSON.stringify(net.plan) }));
  const { server, address } = await serve(weights);
  const browser = await chromium.launch({ executablePath, args: CHROMIUM_ARGS });
  try {
    const page = await browser.newPage();
    await page.goto(address);
    // As text, or the tool that compiles this file would put an import of its own there.
    await page.evaluate("import('/vgg/vgg.js').then((library) => void (window.vgg = library))");
    for (const worker of [false, true]) {
      const { milliseconds, longest, tasks } = await measure(page, worker, Number(pictures));
      const long =
        tasks.length === 0 ? 'no task of 50 ms or more' : `${tasks.length} tasks of 50 ms or more, the longest ${Math.max(...tasks)} ms`;
      console.log(
        `${worker ? 'in a worker' : 'in the page'}: ${milliseconds.toFixed(0)} ms a picture; ${long}; longest pause ${longest.toFixed(0)} ms`,
      );
    }
  } finally {
    await browser.close();
    server.kill();
    await rm(folder, { recursive: true });
  }
}

/** `npm run page`, once it has printed its address. */
async function serve(weights: string): Promise<{ server: ChildProcess; address: string }> {
  const server = spawn(process.execPath, ['examples/browser/serve.mjs', '--port', '0', '--weights', weights], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const address = await new Promise<string>((resolve, reject) => {
    server.stdout.once('data', (text) => resolve(/http:\S+/.exec(String(text))?.[0] ?? ''));
    server.once('exit', (status) => reject(new Error(`the server ended with ${status}`)));
  });
  return { server, address };
}

/** Loads, classifies once, then classifies while the page's own tasks and pauses are noted. */
function measure(page: Page, worker: boolean, count: number): Promise<Measured> {
  return page.evaluate(
    async ({ worker, count }) => {
      const { load } = (window as unknown as { vgg: typeof Vgg }).vgg;
      const model = await load(undefined, {
        weights: '/weights/narrow.safetensors',
        preprocessing: 'torchvision',
        backend: 'wasm',
        worker,
      });
      const canvas = new OffscreenCanvas(640, 480);
      const context = canvas.getContext('2d')!;
      context.fillRect(100, 100, 300, 200);
      const picture = new File([await canvas.convertToBlob({ type: 'image/jpeg' })], 'picture.jpg');
      await model.classify(picture);
      // What loading left to do is not counted.
      await new Promise((resolve) => setTimeout(resolve, 500));
      const tasks: number[] = [];
      const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration)));
      observer.observe({ type: 'longtask' });
      let longest = 0;
      let last = performance.now();
      const beat = setInterval(() => {
        const now = performance.now();
        longest = Math.max(longest, now - last);
        last = now;
      }, 5);
      const started = performance.now();
      await model.classify(Array.from({ length: count }, () => picture));
      const milliseconds = (performance.now() - started) / count;
      clearInterval(beat);
      await new Promise((resolve) => setTimeout(resolve, 200));
      observer.disconnect();
      model.dispose();
      return { milliseconds, longest, tasks };
    },
    { worker, count },
  );
}
