import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright';
import { CHROMIUM_ARGS, findChromium, NO_CHROMIUM } from '../../scripts/find-chromium.js';
import { ISOLATED, serveFolder } from '../../tests/package/support/static-server.js';

const BUNDLE = fileURLToPath(new URL('../../packages/vgg/dist/browser', import.meta.url));

/** What the page is told to do. */
export interface PageOptions {
  weightsPath: string;
  pixelsPath: string;
  layer: string;
  threads: number;
  size: number;
}

/** Our package in an isolated page of Chromium, from the module that needs no bundler. */
export async function openPage({ weightsPath, pixelsPath, ...options }: PageOptions) {
  const executablePath = findChromium();
  if (!executablePath) throw new Error(NO_CHROMIUM);
  const folder = await mkdtemp(join(tmpdir(), 'vgg-page-'));
  mkdirSync(join(folder, 'assets'));
  symlinkSync(BUNDLE, join(folder, 'browser'));
  copyFileSync(weightsPath, join(folder, 'assets/weights.safetensors'));
  copyFileSync(pixelsPath, join(folder, 'assets/pixels.bin'));
  copyFileSync(fileURLToPath(new URL('page.html', import.meta.url)), join(folder, 'index.html'));
  const server = await serveFolder(folder, ISOLATED);
  const browser = await chromium.launch({ executablePath, args: CHROMIUM_ARGS });
  const page = await browser.newPage();
  await page.goto(server.origin);
  await page.evaluate((given) => (globalThis as unknown as { open(given: object): Promise<void> }).open(given), options);
  return {
    threads: await page.evaluate(() => (globalThis as unknown as { threads: number }).threads),
    run: () =>
      page.evaluate(async () => {
        const start = performance.now();
        await (globalThis as unknown as { run(): Promise<unknown> }).run();
        return performance.now() - start;
      }),
    async close() {
      await browser.close();
      await server.close();
      await rm(folder, { recursive: true });
    },
  };
}
