// The page of examples/browser from end to end: its own server, a real Chromium, files given as a person would give them.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { convert } from '../../packages/vgg/src/index.ts';
import { CHROMIUM_ARGS, findChromium, NO_CHROMIUM } from '../../scripts/find-chromium.ts';
import { picture, reference, relativeError, weightFile } from '../package/support/small-vgg.ts';

const serve = fileURLToPath(new URL('../../examples/browser/serve.mjs', import.meta.url));
/** Real weights that are not part of the repository. */
const KERAS = fileURLToPath(new URL('../../../shared/data/vgg16-tfjs', import.meta.url));
const executablePath = findChromium();
if (!executablePath && process.env.CI) throw new Error(NO_CHROMIUM);

/** Slow machines take their time over the first picture. */
const WAIT = { timeout: 30_000 };

let folder: string;
let origin: string;
let server: ChildProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-page-'));
  await writeFile(join(folder, 'small.safetensors'), weightFile());
  await writeFile(join(folder, 'cut.safetensors'), weightFile().subarray(0, 3000));
  await writeFile(join(folder, 'holes.safetensors'), weightFile({ without: ['conv2_2.weight', 'fc6.weight', 'fc6.bias'] }));
  await writeFile(join(folder, 'notes.txt'), 'these are no weights');
  const { data, width, height, channels } = picture();
  await sharp(data, { raw: { width, height, channels } }).png().toFile(join(folder, 'picture.png'));
  const ramp = Uint8Array.from(
    { length: 32 * 32 * 3 },
    (_, i) => (7 * Math.floor(i / 96) + 3 * (Math.floor(i / 3) % 32) + 50 * (i % 3)) % 256,
  );
  await sharp(ramp, { raw: { width: 32, height: 32, channels: 3 } })
    .png()
    .toFile(join(folder, 'ramp.png'));
  ({ server, origin } = await start('--port', '0', '--weights', join(folder, 'small.safetensors')));
});

afterAll(async () => {
  server?.kill();
  // Screenshots are kept only where somebody asks for them.
  if (!process.env.VGG_SCREENSHOTS) await rm(folder, { recursive: true, force: true });
});

/** `npm run page`, once it has printed its address. */
async function start(...args: string[]): Promise<{ server: ChildProcess; origin: string }> {
  const started = spawn(process.execPath, [serve, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const address = await new Promise<string>((resolve, reject) => {
    started.stdout.once('data', (text) => resolve(/http:\S+/.exec(String(text))?.[0] ?? ''));
    started.once('exit', (status) => reject(new Error(`the server ended with ${status}`)));
  });
  return { server: started, origin: address };
}

describe('the server', () => {
  /** As written: fetch would tidy the path up. */
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }>((resolve, reject) => {
      const { hostname, port } = new URL(origin);
      const sent = request({ hostname, port, path, headers, method }, (response) => {
        const chunks: Buffer[] = [];
        response
          .on('data', (chunk) => chunks.push(chunk))
          .on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }));
      });
      sent.on('error', reject).end();
    });

  test('gives the page, cross-origin isolated and with a content security policy', async () => {
    const { status, headers, body } = await ask('/');
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'content-type': 'text/html; charset=utf-8',
    });
    expect(headers['content-security-policy']).not.toContain('unsafe-inline');
    expect(body.toString()).toContain('<title>');
  });

  test('gives parts of the weights', async () => {
    const { status, headers, body } = await ask('/weights/small.safetensors', { Range: 'bytes=8-15' });
    expect(status).toBe(206);
    expect(headers['content-range']).toBe(`bytes 8-15/${weightFile().length}`);
    expect(body).toEqual(Buffer.from(weightFile().subarray(8, 16)));
    expect((await ask('/weights/small.safetensors', { Range: 'bytes=99999999-' })).status).toBe(416);
  });

  test.each([
    '/../package.json',
    '/%2e%2e/%2e%2e/package.json',
    '/vgg/..%2f..%2fpackage.json',
    '/..%5c..%5cpackage.json',
    '/weights/notes.txt',
    '/weights/',
    '/%00',
    '/.git/config',
    '/%E0%A4%A',
    '//etc/passwd',
  ])('refuses %s', async (path) => expect([400, 404]).toContain((await ask(path)).status));

  test('answers GET and HEAD only', async () => {
    expect((await ask('/', {}, 'POST')).status).toBe(405);
    expect((await ask('/', {}, 'HEAD')).body).toHaveLength(0);
  });

  test.each([
    [['--port', 'x'], 'expected a port'],
    [['--weights', '/nowhere'], 'does not exist'],
    [['--wieghts', 'x'], 'usage'],
  ])('says what is wrong with %j', async (args, sentence) => {
    const run = spawn(process.execPath, [serve, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    run.stderr.on('data', (chunk) => (text += chunk));
    const status = await new Promise((resolve) => run.once('close', resolve));
    expect(status).toBe(1);
    expect(text).toContain(sentence);
    expect(text).not.toContain('    at ');
  });
});

describe.skipIf(!executablePath)('the page in Chromium', () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args: CHROMIUM_ARGS });
  });
  afterAll(() => browser?.close());

  beforeEach(async () => {
    context = await browser.newContext({ viewport: { width: 1180, height: 900 }, acceptDownloads: true });
    page = await context.newPage();
    complaints = [];
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(origin);
  });
  afterEach(async () => {
    await context.close();
    expect(complaints).toEqual([]);
  });

  const section = (name: string) => page.locator(`#${name}`);
  const load = async () => {
    await page.getByRole('button', { name: 'Load', exact: true }).click();
    await section('weights').locator('.facts').waitFor();
  };
  const loadFiles = async (...names: string[]) => {
    await page.getByText('Files', { exact: true }).click();
    await section('weights')
      .locator('input[type=file]')
      .first()
      .setInputFiles(names.map((name) => join(folder, name)));
    await page.getByRole('button', { name: 'Load', exact: true }).click();
  };
  const saved = async (button: string) => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: button }).click()]);
    return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
  };

  test('weights, features, classes: the whole way', { timeout: 120_000 }, async () => {
    await load();
    const facts = await section('weights').locator('.facts').textContent();
    expect(facts).toContain('small');
    expect(facts).toContain('complete');
    expect(facts).toMatch(/Backendwasm(, \d+ threads)?: /);
    // The engine is in a worker; its threads are workers of that one.
    expect(page.workers().length).toBeGreaterThan(0);

    // What a layer sees.
    const features = section('features');
    await features.locator('input[type=file]').setInputFiles(join(folder, 'picture.png'));
    await features.getByLabel('Layer').selectOption('relu2_2');
    await expect.poll(() => features.locator('.summary').textContent(), WAIT).toContain('relu2_2: shape 1 × 16 × 16 × 6');
    expect(await features.locator('.maps canvas').count()).toBe(6);
    const { name, bytes } = await saved('Download as .npy');
    expect(name).toBe('picture.relu2_2.npy');
    const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset + bytes.length - 16 * 16 * 6 * 4, bytes.byteOffset + bytes.length));
    expect(relativeError(values, reference().relu2_2)).toBeLessThan(1e-4);

    // The drawn map is the strongest channel's, cell by cell: its largest value is the palest.
    const first = features.locator('.maps figure').first();
    const channel = Number(/#(\d+)/.exec((await first.textContent())!)![1]);
    const brightest = await first.locator('canvas').evaluate((canvas: HTMLCanvasElement) => {
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      const light = Array.from({ length: data.length / 4 }, (_, i) => data[i * 4]! + data[i * 4 + 1]! + data[i * 4 + 2]!);
      return light.indexOf(Math.max(...light));
    });
    const expected = reference().relu2_2.filter((_, i) => i % 6 === channel);
    expect(expected[brightest]).toBeGreaterThan(0.97 * Math.max(...expected));

    // The weights have their dense layers, so the picture can be named; classes without names are numbers.
    await features.getByRole('button', { name: 'What is it?' }).click();
    await expect.poll(() => features.locator('.bars li').count(), WAIT).toBe(3);
    await features.getByLabel('Layer').selectOption('prob');
    await expect.poll(() => features.locator('.maps.flat figure').count(), WAIT).toBe(3);

    // Classes of one's own.
    const classes = section('classes');
    await classes.getByRole('button', { name: 'Draw three classes' }).click();
    await expect.poll(() => classes.locator('.card').count(), WAIT).toBe(3);
    await expect.poll(() => classes.locator('.card .thumbnail').count(), WAIT).toBe(36);
    await classes.getByLabel('Picture size').selectOption('32');
    await page.getByRole('button', { name: 'Train' }).click();
    await expect
      .poll(() => classes.locator('.summary').textContent(), WAIT)
      .toMatch(/[\d.]+ % of the validation pictures right, 3 classes \(checks, dots, stripes\)/);
    expect(await classes.locator('.charts img').getAttribute('alt')).toMatch(
      /^Curves up to epoch \d+: loss .* of the validation pictures$/,
    );
    const head = await saved('Download the head');
    expect(head.name).toBe('head.safetensors');
    expect(head.bytes.length).toBeLessThan(50_000);

    await classes.locator('[data-drop=try] input[type=file]').setInputFiles(join(folder, 'picture.png'));
    await classes.locator('.prediction li').first().waitFor();
    const trained = (await classes.locator('.prediction .bars').textContent())!;
    const sum = [...trained.matchAll(/([\d.]+) %/g)].reduce((total, [, part]) => total + Number(part), 0);
    expect(sum).toBeCloseTo(100, 0);

    // The saved head is the trained one.
    await writeFile(join(folder, head.name), head.bytes);
    await classes.locator('[data-act=load]').setInputFiles(join(folder, head.name));
    await expect.poll(() => classes.locator('.summary').textContent(), WAIT).toContain('from head.safetensors');
    await classes.locator('[data-drop=try] input[type=file]').setInputFiles(join(folder, 'picture.png'));
    await expect.poll(() => classes.locator('.prediction .bars').textContent(), WAIT).toBe(trained);

    await page.screenshot({ path: join(folder, 'desktop.png'), fullPage: true });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize({ width: 390, height: 844 });
    await page.screenshot({ path: join(folder, 'phone-dark.png'), fullPage: true });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(overflow).toBe(0);
  });

  test.skipIf(!existsSync(KERAS))(
    'the real VGG-16 as a chosen folder (needs ../shared/data/vgg16-tfjs): the reference activations',
    { timeout: 90_000 },
    async () => {
      await page.getByText('Files', { exact: true }).click();
      await section('weights').locator('input[webkitdirectory]').setInputFiles(KERAS);
      await load();
      const held = 'up to pool3; conv4_1.weight is not in the file';
      await expect.poll(() => section('weights').locator('.facts').textContent(), WAIT).toContain(held);
      await section('features').getByLabel('Picture size').selectOption('32');
      await section('features').getByLabel('Layer').selectOption('pool3');
      await section('features').locator('input[type=file]').setInputFiles(join(folder, 'ramp.png'));
      await expect.poll(() => section('features').locator('.summary').textContent(), WAIT).toContain('pool3: shape 1 × 4 × 4 × 256');
      const { bytes } = await saved('Download as .npy');
      const values = new Float32Array(
        bytes.buffer.slice(bytes.byteOffset + bytes.length - 4 * 4 * 256 * 4, bytes.byteOffset + bytes.length),
      );
      // Computed in float64 from the published weights : the sum over block3_pool, and channel 1 at (0, 0).
      expect(Math.abs(values.reduce((sum, value) => sum + value, 0) / 3_609_459.1588389305 - 1)).toBeLessThan(1e-4);
      expect(Math.abs(values[1]! / 109.38072769551985 - 1)).toBeLessThan(1e-3);
    },
  );

  test('the weights inside the package are the first choice, and need no network', { timeout: 60_000 }, async () => {
    await page.getByText('Published', { exact: true }).click();
    expect(await section('weights').locator('select[name=published]').inputValue()).toBe('compact.cifar10');
    await load();
    await expect.poll(() => section('weights').locator('.facts').textContent(), WAIT).toContain('Weightscompact.cifar10 (safetensors)');
    expect(await section('weights').locator('.facts').textContent()).toContain('Reachcomplete');
  });

  test('a choice made while the page is still starting waits for it, and holds', async () => {
    await page.route('**/config.json', async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await route.continue();
    });
    await page.reload();
    await page.getByText('Published', { exact: true }).click();
    await page.getByRole('button', { name: 'Load', exact: true }).click();
    await expect.poll(() => section('weights').locator('.facts').textContent(), WAIT).toContain('Weightscompact.cifar10 (safetensors)');
    expect(page.url()).toBe(origin);
  });

  test('the published sets that a page may fetch are listed, with their licence', async () => {
    await page.getByText('Published', { exact: true }).click();
    await section('weights').locator('select[name=published]').selectOption('vgg16.timm_tv_in1k');
    const names = await section('weights').locator('select[name=published] option').allTextContents();
    expect(names).toContain('vgg16.timm_tv_in1k (553.0 MB)');
    expect(await section('weights').locator('#published-note').textContent()).toContain('from huggingface.co; licence BSD-3-Clause');
  });

  test('files of every kind, with those that belong to them', { timeout: 90_000 }, async () => {
    for (const name of ['small.h5', 'small.onnx', 'small.npz', 'small.caffemodel', 'web/model.json'])
      await convert(join(folder, 'small.safetensors'), join(folder, name.replace('model.json', '')));
    const kinds: [string, ...string[]][] = [
      ['small.h5'],
      ['small.onnx'],
      ['small.npz'],
      ['small.caffemodel', 'small.prototxt'],
      ['web/model.json', 'web/group1-shard1of1.bin'],
    ];
    for (const names of kinds) {
      await loadFiles(...names);
      const main = names[0].split('/').at(-1)!;
      await expect.poll(() => section('weights').locator('.facts').textContent(), WAIT).toContain(`Weights${main} (`);
      const facts = await section('weights').locator('.facts').textContent();
      expect(facts).toContain('Networksmall');
      expect(facts).toContain('Reachcomplete');
    }
    expect(await section('weights').locator('#weight-files').textContent()).toMatch(/^model\.json, group1-shard1of1\.bin: [\d.]+ kB$/);
    // What is missing is said in one sentence.
    await loadFiles('web/model.json');
    await expect.poll(() => section('weights').getByRole('alert').textContent(), WAIT).toContain('missing shard group1-shard1of1.bin');
  });

  test('a load that takes long shows its progress, and stops when it is cancelled', async () => {
    // The file is 2.7 kB in one piece; its bytes never come.
    await page.route('**/weights/*', () => {});
    await page.getByRole('button', { name: 'Load', exact: true }).click();
    await section('weights').getByRole('progressbar').waitFor();
    await section('weights').getByRole('button', { name: 'Cancel' }).click();
    await expect.poll(() => section('weights').locator('.task').textContent(), WAIT).toBe('Loading: cancelled.');
    await page.unroute('**/weights/*');
    await load();
  });

  test('another model takes the place of the first, and of its worker and threads', async () => {
    await load();
    const count = page.workers().length;
    expect(count).toBeGreaterThan(0);
    const first = page.workers()[0]!;
    const ended = new Promise((resolve) => first.once('close', resolve));
    await page.getByRole('button', { name: 'Load', exact: true }).click();
    await ended;
    await expect.poll(() => page.workers().length, WAIT).toBe(count);
  });

  test('weights with a hole: layers past it are disabled, with the reason', async () => {
    await loadFiles('holes.safetensors');
    await section('weights').locator('.facts').waitFor();
    expect(await section('weights').locator('.facts').textContent()).toContain('conv2_2.weight is not in the file');
    const options = await section('features')
      .locator('select[name=tap] option')
      .evaluateAll((all) =>
        all.map((option) => ({
          name: (option as HTMLOptionElement).value,
          disabled: (option as HTMLOptionElement).disabled,
          text: option.textContent,
        })),
      );
    const open = options.filter(({ disabled }) => !disabled).map(({ name }) => name);
    expect(open).toEqual(['conv1_1', 'relu1_1', 'pool1', 'conv2_1', 'relu2_1']);
    expect(options.find(({ name }) => name === 'pool2')?.text).toContain('needs conv2_2.weight');
    expect(await section('features').getByRole('button', { name: 'What is it?' }).isVisible()).toBe(false);
  });

  test.each([
    ['notes.txt', 'VGG_FORMAT'],
    ['cut.safetensors', 'VGG_INTEGRITY'],
  ])('%s as weights: one sentence, and the page goes on', async (name, code) => {
    await loadFiles(name);
    await expect.poll(() => section('weights').getByRole('alert').textContent(), WAIT).toContain(code);
    expect(await section('weights').getByRole('alert').textContent()).toContain(name);
    await loadFiles('small.safetensors');
    await section('weights').locator('.facts').waitFor();
    expect(await section('weights').getByRole('alert').count()).toBe(0);
  });

  test('classes without enough pictures: one sentence', async () => {
    await load();
    await page.getByRole('button', { name: 'Train' }).click();
    await expect.poll(() => section('classes').getByRole('alert').textContent(), WAIT).toContain('VGG_DATASET');
  });

  test('by keyboard alone: load, draw, choose a layer', async () => {
    await page.getByRole('button', { name: 'Load', exact: true }).focus();
    await page.keyboard.press('Enter');
    await section('weights').locator('.facts').waitFor();
    await page.getByRole('button', { name: 'Draw one' }).first().focus();
    await page.keyboard.press('Enter');
    await section('features').locator('.maps canvas').first().waitFor();
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.className)).toBe('pick');
    await section('features').getByLabel('Layer').focus();
    await page.keyboard.press('ArrowUp');
    await expect.poll(() => section('features').locator('.summary').textContent(), WAIT).toContain('conv2_2: shape');
  });
});
