import { copyFile, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build as esbuild } from 'esbuild';
import { type Browser, chromium } from 'playwright';
import { createServer } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHROMIUM_ARGS, findChromium, NO_CHROMIUM } from '../../scripts/find-chromium.ts';
import { BUNDLERS, html } from './support/bundlers.ts';
import type { Project } from './support/project.ts';
import { reference, relativeError } from './support/small-vgg.ts';
import { ISOLATED, serveFolder } from './support/static-server.ts';

/** What `apps/page.js` leaves in the window. */
interface PageResult {
  readonly error?: string;
  readonly backend: string;
  readonly sharedMemory: boolean;
  readonly threads: number;
  readonly threadsReason: string;
  readonly isolated: boolean;
  /** Of the weights inside the package. */
  readonly inside?: string;
  readonly relu2_2: number[];
}

export function bundleTests(project: () => Project): void {
  const executablePath = findChromium();
  if (!executablePath && process.env.CI) throw new Error(NO_CHROMIUM);
  const inChromium = test.skipIf(!executablePath);
  let browser: Browser;

  beforeAll(async () => {
    if (executablePath) browser = await chromium.launch({ executablePath, args: CHROMIUM_ARGS });
  });
  afterAll(() => browser?.close());

  /** Opens a built folder, waits for the page's result, and gives all that the console complained about. */
  async function visit(
    folder: string,
    headers: Record<string, string> = {},
    query = '',
  ): Promise<{ result: PageResult; complaints: string[]; asked: string[] }> {
    const server = await serveFolder(folder, headers);
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    try {
      await page.goto(`${server.origin}/${query}`);
      await page
        .waitForFunction(() => 'result' in window, undefined, { timeout: 30_000 })
        .catch(() => complaints.push('the page gave no result'));
      const result = await page.evaluate(() => (window as unknown as { result: PageResult }).result);
      return { result, complaints, asked: server.asked };
    } finally {
      await page.close();
      await server.close();
    }
  }

  const expectNumbers = ({ result, complaints }: { result: PageResult; complaints: string[] }) => {
    expect(complaints).toEqual([]);
    expect(result).toMatchObject({ backend: 'wasm' });
    expect(relativeError(result.relu2_2, reference().relu2_2)).toBeLessThan(1e-4);
  };

  for (const [name, bundle] of Object.entries(BUNDLERS)) {
    const folder = () => project().path('built', name.replace(/\W+/g, '-'));

    inChromium(
      `${name}: builds without a warning or a copied file, and runs with and without shared memory`,
      { timeout: 120_000 },
      async () => {
        expect(await bundle(project(), folder())).toEqual([]);
        expect((await readdir(folder(), { recursive: true })).filter((file) => /\.wasm$|\.node$|sharp/.test(file))).toEqual([]);
        const alone = await visit(folder());
        expectNumbers(alone);
        expect(alone.result).toMatchObject({ isolated: false, sharedMemory: false, threads: 1, inside: 'compact.cifar10' });
        expect(alone.result.threadsReason).toContain('the headers Cross-Origin-Opener-Policy: same-origin and');
        expect(alone.asked.filter((path) => path.endsWith('.wasm'))).toEqual([]);
        const isolated = await visit(folder(), ISOLATED, '?threads=3');
        expectNumbers(isolated);
        expect(isolated.result).toMatchObject({ isolated: true, sharedMemory: true, threads: 3 });
      },
    );
  }

  describe('a model in a worker', () => {
    inChromium.for(['Vite', 'webpack 5', 'esbuild, split in chunks', 'Rollup'])('%s', { timeout: 120_000 }, async (name) => {
      const folder = project().path('built', `worker-${name.replace(/\W+/g, '-')}`);
      expect(await BUNDLERS[name]!(project(), folder, ['worker-page.js', 'engine.js'])).toEqual([]);
      const alone = await visit(folder);
      expectNumbers(alone);
      expect(alone.result).toMatchObject({ isolated: false, sharedMemory: false, threads: 1 });
      const isolated = await visit(folder, ISOLATED, '?threads=3');
      expectNumbers(isolated);
      expect(isolated.result).toMatchObject({ isolated: true, sharedMemory: true, threads: 3 });
    });
  });

  inChromium("a model in a worker, with Vite's development server", { timeout: 60_000 }, async () => {
    const root = project().path('developed');
    await mkdir(root);
    for (const name of ['worker-page.js', 'engine.js', 'small.safetensors']) await copyFile(project().path(name), join(root, name));
    await writeFile(join(root, 'index.html'), html('./worker-page.js'));
    const server = await createServer({ root, configFile: false, logLevel: 'silent', server: { port: 0 } });
    const page = await browser.newPage();
    try {
      await server.listen();
      await page.goto(server.resolvedUrls!.local[0]!);
      // It finds the worker's dependencies while it serves, and loads the page again.
      await expect
        .poll(() => page.evaluate(() => (window as unknown as { result?: PageResult }).result?.relu2_2?.length), { timeout: 50_000 })
        .toBe(reference().relu2_2.length);
      const { relu2_2 } = await page.evaluate(() => (window as unknown as { result: PageResult }).result);
      expect(relativeError(relu2_2, reference().relu2_2)).toBeLessThan(1e-4);
    } finally {
      await page.close();
      await server.close();
    }
  });

  describe('a model in a worker, without a bundler', () => {
    /** A page whose library is where `library` says, and what it gives as `worker`. */
    const plain = async (name: string, library: string, worker: string): Promise<string> => {
      const folder = project().path('built', name);
      await mkdir(folder);
      const text = await readFile(project().path('worker-page.js'), 'utf8');
      const page = text.replace("from 'vgg'", `from '${library}'`).replace(/const worker = .*;/, `const worker = ${worker};`);
      await writeFile(join(folder, 'page.js'), page);
      await writeFile(join(folder, 'index.html'), html('page.js'));
      await copyFile(project().path('small.safetensors'), join(folder, 'small.safetensors'));
      return folder;
    };
    const library = () => project().path('node_modules/vgg/dist/browser');

    inChromium('worker: true, the library on another origin', async () => {
      const other = await serveFolder(library(), { 'Access-Control-Allow-Origin': '*', 'Cross-Origin-Resource-Policy': 'cross-origin' });
      try {
        const folder = await plain('elsewhere', `${other.origin}/vgg.js`, 'true');
        expectNumbers(await visit(folder));
        const isolated = await visit(folder, ISOLATED, '?threads=2');
        expectNumbers(isolated);
        expect(isolated.result).toMatchObject({ isolated: true, sharedMemory: true, threads: 2 });
        expect(other.asked).toContain('/worker.js');
      } finally {
        await other.close();
      }
    });

    inChromium('under a policy without blob:, the script as a file', async () => {
      const policy = { 'Content-Security-Policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:" };
      const folder = await plain('strict', './vgg/vgg.js', "() => new Worker('vgg/worker.js', { type: 'module' })");
      await cp(library(), join(folder, 'vgg'), { recursive: true });
      expectNumbers(await visit(folder, policy));
      const refused = await plain('refused', './vgg/vgg.js', 'true');
      await cp(library(), join(refused, 'vgg'), { recursive: true });
      const { result } = await visit(refused, policy);
      expect(result.error).toMatch(/^VGG_BACKEND: load: expected the worker to run and it failed .*Content-Security-Policy/);
    });
  });

  inChromium("a page with script-src 'self' 'wasm-unsafe-eval' works on wasm", async () => {
    const folder = project().path('built', 'policy');
    await BUNDLERS['esbuild, split in chunks']!(project(), folder);
    const policy = { 'Content-Security-Policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:" };
    expectNumbers(await visit(folder, policy));
    await copyFile(project().path('node_modules/vgg/dist/worker.js'), join(folder, 'worker.js'));
    const isolated = await visit(folder, { ...ISOLATED, ...policy }, '?threads=2&worker=worker.js');
    expectNumbers(isolated);
    expect(isolated.result).toMatchObject({ isolated: true, sharedMemory: true, threads: 2 });
    // Without the script as a file the policy refuses threads: one computes, and a warning says why.
    const refused = await visit(folder, { ...ISOLATED, ...policy }, '?threads=2');
    expect(refused.result).toMatchObject({ isolated: true, threads: 1, relu2_2: isolated.result.relu2_2 });
    expect(refused.complaints.join()).toContain('going on with one thread');
  });

  inChromium('wasmUrl: the WebAssembly as a file of the page', async () => {
    const folder = project().path('built', 'file');
    await BUNDLERS['esbuild, split in chunks']!(project(), folder);
    const file = 'tfjs-backend-wasm-simd.wasm';
    await copyFile(project().path('node_modules/@tensorflow/tfjs-backend-wasm/wasm-out', file), join(folder, file));
    const visited = await visit(folder, {}, `?wasm=${file}`);
    expectNumbers(visited);
    expect(visited.asked).toContain(`/${file}`);
  });

  test.each([
    // Raw bytes, minified; what is not used must stay out. What the readers that are loaded later share lies in a chunk of the entry's.
    { code: "import { decodeNpy } from 'vgg/loaders'; console.log(decodeNpy);", most: 60_000, without: ['tensorflow', 'tidy', 'conv2d'] },
    { code: "import { load } from 'vgg'; console.log(load);", most: 1_000_000, without: ['trainHead:', 'loadHead:'] },
  ])('tree shaking: $code', async ({ code, most, without }) => {
    const { outputFiles } = await esbuild({
      stdin: { contents: code, resolveDir: project().folder },
      bundle: true,
      splitting: true,
      outdir: project().path('built', 'shaken'),
      write: false,
      format: 'esm',
      minify: true,
      logLevel: 'silent',
    });
    const [entry] = outputFiles;
    // What the entry imports at once; backends and their WebAssembly are fetched later.
    const first = outputFiles.filter(
      ({ path }) => path === entry!.path || new RegExp(`(from|import)"\\./${basename(path)}"`).test(entry!.text),
    );
    expect(first.reduce((sum, { contents }) => sum + contents.length, 0)).toBeLessThan(most);
    for (const text of without)
      expect(
        first.some((file) => file.text.includes(text)),
        text,
      ).toBe(false);
  });
}
