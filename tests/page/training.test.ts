// The page's third part where the network itself learns: class folders and a zip of them in, a run that is stopped and continued, a network out.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildZip } from '../../packages/loaders/test/zip/helpers.ts';
import { load } from '../../packages/vgg/src/index.ts';
import { CHROMIUM_ARGS, findChromium } from '../../scripts/find-chromium.ts';
import { weightFile } from '../package/support/small-vgg.ts';

const serve = fileURLToPath(new URL('../../examples/browser/serve.mjs', import.meta.url));
const executablePath = findChromium();
const WAIT = { timeout: 45_000 };
const SIDE = 32;
const CLASSES = ['across', 'down'] as const;

/** Stripes along one of two ways, each picture with a phase and colours of its own. */
async function stripes(kind: (typeof CLASSES)[number], i: number): Promise<Buffer> {
  const data = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, at) => {
    const [x, y, c] = [Math.floor(at / 3) % SIDE, Math.floor(at / 3 / SIDE), at % 3];
    return ((kind === 'across' ? x : y) + i) % 8 < 4 ? 20 + ((i * 13 + c * 20) % 60) : 180 + ((i * 7 + c * 10) % 60);
  });
  return sharp(data, { raw: { width: SIDE, height: SIDE, channels: 3 } })
    .png()
    .toBuffer();
}

describe.skipIf(!executablePath)('training in the page in Chromium', () => {
  let folder: string;
  let server: ChildProcess;
  let origin: string;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vgg-page-training-'));
    await writeFile(join(folder, 'small.safetensors'), weightFile());
    const files: { name: string; data: Uint8Array }[] = [];
    for (const kind of CLASSES) {
      await mkdir(join(folder, 'data', kind), { recursive: true });
      for (let i = 0; i < 12; i++) {
        const bytes = await stripes(kind, i);
        await writeFile(join(folder, 'data', kind, `${i}.png`), bytes);
        files.push({ name: `${kind}/${i}.png`, data: bytes });
      }
    }
    await writeFile(join(folder, 'data', 'across', 'notes.txt'), 'no picture');
    const zip = await buildZip(files);
    await writeFile(join(folder, 'data.zip'), zip);
    await writeFile(join(folder, 'broken.zip'), zip.subarray(0, 500));
    server = spawn(process.execPath, [serve, '--port', '0', '--weights', join(folder, 'small.safetensors')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    origin = await new Promise((resolve) => {
      server.stdout!.once('data', (text) => resolve(/http:\S+/.exec(String(text))![0]));
    });
    browser = await chromium.launch({ executablePath, args: CHROMIUM_ARGS });
  });
  afterAll(async () => {
    await browser?.close();
    server?.kill();
    if (!process.env.VGG_SCREENSHOTS) await rm(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    context = await browser.newContext({ viewport: { width: 1180, height: 900 }, acceptDownloads: true });
    page = await context.newPage();
    complaints = [];
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    await begin();
  });
  afterEach(async () => {
    await context.close();
    expect(complaints).toEqual([]);
  });

  const classes = () => page.locator('#classes');
  const summary = () => classes().locator('.summary').textContent();
  const given = () => classes().locator('.given').textContent();
  const alert = () => classes().getByRole('alert').textContent();
  const button = (name: string) => classes().getByRole('button', { name, exact: true });
  /** The page with the network loaded. */
  async function begin() {
    await page.goto(origin);
    await page.getByRole('button', { name: 'Load', exact: true }).click();
    await page.locator('#weights .facts').waitFor();
  }
  const giveFolder = () => classes().locator('[data-drop=folders] input[webkitdirectory]').setInputFiles(join(folder, 'data'));
  const giveZip = (name = 'data.zip') => classes().locator('[data-drop=folders] input[accept]').setInputFiles(join(folder, name));
  /** A folder as the system gives it, from a file manager. */
  async function dropFolder() {
    const area = (await classes().locator('[data-drop=folders]').elementHandle())!;
    await area.scrollIntoViewIfNeeded();
    const { x, y } = (await area.boundingBox())!;
    const devtools = await context.newCDPSession(page);
    const data = { items: [], files: [join(folder, 'data')], dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
      await devtools.send('Input.dispatchDragEvent', { type, x: x + 5, y: y + 5, data });
  }
  async function choose(fields: { learns: string; epochs?: number; rate?: number }) {
    await classes().getByLabel('What learns').selectOption(fields.learns);
    await classes().getByLabel('Picture size').selectOption('32');
    if (fields.learns === 'head') return;
    await classes().getByLabel('Epochs').fill(String(fields.epochs));
    await classes().getByLabel('Pictures a step').fill('6');
    await classes()
      .getByLabel('Learning rate')
      .fill(String(fields.rate ?? 0.0005));
  }

  test('class folders, fine-tuned from the last block: curves, a word on a picture, a network to keep', { timeout: 120_000 }, async () => {
    await dropFolder();
    await expect.poll(given, WAIT).toContain('24 pictures in 2 classes (across 12, down 12); 1 file is no picture.');
    expect(await classes().locator('.cards').isVisible()).toBe(false);
    await choose({ learns: 'conv2', epochs: 8 });
    expect(await classes().getByLabel('Solver').isVisible()).toBe(false);
    await button('Train').click();
    await expect
      .poll(summary, { timeout: 90_000 })
      .toMatch(/^(9\d|100)[\d.]* % of the validation pictures right, 2 classes \(across, down\) on small_pool2, in/);
    const curves = classes().locator('.charts img');
    expect(await curves.getAttribute('alt')).toMatch(
      /^Curves up to epoch 8: loss [\d.e-]+, right are [\d.]+ % of the training pictures, [\d.]+ %/,
    );
    expect(await curves.evaluate((image: HTMLImageElement) => image.decode().then(() => image.naturalWidth))).toBe(720);

    const [download] = await Promise.all([page.waitForEvent('download'), button('Download the network').click()]);
    expect(download.suggestedFilename()).toBe('network.safetensors');
    await classes()
      .locator('[data-drop=try] input[type=file]')
      .setInputFiles(join(folder, 'data', 'down', '3.png'));
    await classes().locator('.prediction li').first().waitFor();
    const shown = (await classes().locator('.prediction .bars').textContent())!;

    // What was kept is what the page uses: Node gives the picture the same probabilities.
    const model = await load(undefined, { weights: await readFile(await download.path()), backend: 'cpu' });
    const [best] = await model.classify(join(folder, 'data', 'down', '3.png'), { top: 1 });
    model.dispose();
    const [, label, part] = /^(across|down)([\d.]+) %/.exec(shown)!;
    expect([label, best!.label]).toEqual(['down', 'down']);
    expect(Math.abs(Number(part) - 100 * best!.probability)).toBeLessThan(0.2);

    await page.screenshot({ path: join(folder, 'training.png'), fullPage: true });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize({ width: 390, height: 844 });
    await page.screenshot({ path: join(folder, 'training-phone-dark.png'), fullPage: true });
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
  });

  test('a run that is stopped is continued, after a reload too, and ends as one that was not', { timeout: 180_000 }, async () => {
    /** The curves' last numbers, to three digits, which two runs share only if they are the same. */
    const end = async () => {
      await expect.poll(summary, { timeout: 90_000 }).toContain('validation pictures right');
      return classes().locator('.charts img').getAttribute('alt');
    };
    const EPOCHS = 120;
    await giveZip();
    await expect.poll(given, WAIT).toContain('24 pictures in 2 classes');
    await choose({ learns: 'all', epochs: EPOCHS });
    expect(await button('Continue the last run').isVisible()).toBe(false);
    await button('Train').click();
    const whole = await end();

    // Far more epochs than anybody waits for.
    await choose({ learns: 'all', epochs: 1000 });
    await button('Train').click();
    await expect.poll(() => classes().locator('.charts img').getAttribute('alt'), WAIT).toMatch(/up to epoch \d\d?:/);
    // Epochs are short here: some more pass until the click is heard, but not as many as that.
    await button('Stop').click();
    await expect.poll(() => classes().locator('[data-task=train]').textContent(), WAIT).toBe('Training: stopped; what was learnt is kept.');
    await begin();
    await choose({ learns: 'all', epochs: EPOCHS });
    await button('Continue the last run').click();
    await expect.poll(alert, WAIT).toContain('VGG_DATASET');
    await giveZip();
    await expect.poll(given, WAIT).toContain('24 pictures');
    await button('Continue the last run').click();
    expect(await end()).toBe(whole);
  });

  test('a new network, from scratch', { timeout: 120_000 }, async () => {
    await giveZip();
    await expect.poll(given, WAIT).toContain('24 pictures in 2 classes');
    const rate = classes().getByLabel('Learning rate');
    for (const [learns, usual] of [
      ['scratch', '0.01'],
      ['all', '0.001'],
      ['scratch', '0.01'],
    ] as const) {
      await classes().getByLabel('What learns').selectOption(learns);
      expect(await rate.inputValue()).toBe(usual);
    }
    await choose({ learns: 'scratch', epochs: 30, rate: 0.02 });
    await classes().getByLabel('What learns').selectOption('all');
    expect(await rate.inputValue()).toBe('0.02');
    await choose({ learns: 'scratch', epochs: 30, rate: 0.01 });
    await button('Train').click();
    await expect
      .poll(summary, { timeout: 90_000 })
      .toMatch(/^(9\d|100)[\d.]* % of the validation pictures right, 2 classes \(across, down\) on small, in/);
    const [download] = await Promise.all([page.waitForEvent('download'), button('Download the network').click()]);
    const model = await load(undefined, { weights: await readFile(await download.path()), backend: 'cpu' });
    // Measured on the pictures themselves: those of the weights that were loaded are not taken over.
    expect(model.preprocessing.name).toBe('trained');
    expect(model.network.layers.map(({ name }) => name).filter((name) => name.startsWith('conv'))).toHaveLength(3);
    model.dispose();
  });

  test('a head on a zip, and the cards again', { timeout: 90_000 }, async () => {
    await giveZip();
    await expect.poll(given, WAIT).toContain('24 pictures in 2 classes');
    await choose({ learns: 'head' });
    await button('Train').click();
    await expect.poll(summary, WAIT).toMatch(/2 classes \(across, down\) on pool2/);
    await button('Put them away').click();
    expect(await classes().locator('.cards').isVisible()).toBe(true);
    await button('Train').click();
    await expect.poll(alert, WAIT).toContain('VGG_DATASET');
  });

  test('what is wrong is said in one sentence', { timeout: 90_000 }, async () => {
    await giveZip('broken.zip');
    await expect.poll(alert, WAIT).toContain('VGG_INTEGRITY');
    await giveFolder();
    await expect.poll(given, WAIT).toContain('24 pictures');
    expect(await classes().getByRole('alert').count()).toBe(0);
    // A rate that no network survives.
    await choose({ learns: 'all', epochs: 20 });
    await classes().getByLabel('Learning rate').fill('1e20');
    await button('Train').click();
    await expect.poll(alert, WAIT).toContain('use a smaller learning rate');
  });

  test('by keyboard alone, and the page has its turn meanwhile', { timeout: 90_000 }, async () => {
    await giveFolder();
    await expect.poll(given, WAIT).toContain('24 pictures');
    await classes().getByLabel('What learns').focus();
    await page.keyboard.press('ArrowDown');
    await choose({ learns: await classes().getByLabel('What learns').inputValue(), epochs: 1000 });
    await classes().getByLabel('Learning rate').press('Enter');
    // Frames are drawn while it learns, and a key stops it.
    await expect.poll(() => classes().locator('.charts img').getAttribute('alt'), WAIT).toContain('Curves up to epoch');
    expect(await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => resolve('drawn'))))).toBe('drawn');
    await button('Stop').focus();
    await page.keyboard.press('Enter');
    await expect.poll(() => classes().locator('[data-task=train]').textContent(), WAIT).toContain('stopped');
    await button('Continue the last run').waitFor();
  });
});
