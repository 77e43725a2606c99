import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Finished, Project } from './support/project.ts';
import { reference, relativeError } from './support/small-vgg.ts';

const tsc = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));
/** By these two all copies of tfjs-core in a program find each other; it makes them when it is imported, and nobody can hinder it. */
const TFJS_GLOBALS = ['_tfGlobals', '_tfengine'];
const ENTRIES = ['vgg', 'vgg/core', 'vgg/loaders'];

/** Everything that `apps/smoke.mjs` prints. */
export function expectSmoke(finished: Finished): void {
  expect(finished.stderr).toBe('');
  expect(finished.status).toBe(0);
  const result = JSON.parse(finished.stdout);
  const { relu2_2, prob } = reference();
  expect(result.shape).toEqual([1, 16, 16, 6]);
  // The bound of the whole package: 1e-4 of the maximum (float32 against float64).
  expect(relativeError(result.relu2_2, relu2_2)).toBeLessThan(1e-4);
  expect(relativeError(result.prob, prob)).toBeLessThan(1e-4);
  expect(result).toMatchObject({ decoded: true, refusal: 'VGG_LAYER', inside: { name: 'compact.cifar10', label: expect.any(String) } });
  expect(result.backend.name).toMatch(/^(wasm|webgpu)$/);
}

export function nodeTests(project: () => Project): void {
  test('the tarball holds all that its package.json promises, and nothing of the sources', async () => {
    const { files, folder } = project();
    const { exports } = JSON.parse(await readFile(join(folder, 'node_modules/vgg/package.json'), 'utf8'));
    const targets = Object.values(exports as Record<string, string | Record<string, string>>)
      .flatMap((target) => (typeof target === 'string' ? [target] : [target.types, target.default]))
      .map((target) => String(target).replace('./', ''));
    expect(targets.filter((target) => !files.includes(target))).toEqual([]);
    expect(files).toEqual(
      expect.arrayContaining([
        'bin/vgg.js',
        'dist/cli.js',
        'README.md',
        'LICENSE',
        'NOTICES.md',
        'nets/compact/README.md',
        'dist/browser/nets/compact.js',
      ]),
    );
    expect(
      files.filter(
        (file) =>
          !/^(bin\/vgg\.js|dist\/.+\.(js|d\.ts|wasm|wgsl)|nets\/compact\/(README\.md|training\.log|curves\.svg)|package\.json|README\.md|LICENSE|NOTICES\.md|CHANGELOG\.md)$/.test(
            file,
          ),
      ),
    ).toEqual([]);
  });

  test('import: loads, extracts, decodes, refuses', async () => expectSmoke(await project().run(process.execPath, ['smoke.mjs'])));

  test('require: the same numbers from CommonJS', async () => {
    const { status, stdout, stderr } = await project().run(process.execPath, ['required.cjs']);
    expect({ status, stderr: withoutExperimental(stderr) }).toEqual({ status: 0, stderr: '' });
    const { parameters, relu2_2 } = JSON.parse(stdout);
    expect(parameters).toBe(138_357_544);
    expect(relativeError(relu2_2, reference().relu2_2)).toBeLessThan(1e-4);
  });

  test.each(ENTRIES)('importing %s changes nothing: no globals of ours, no listeners, handles, output', async (entry) => {
    // Nothing keeps the process: one that did not end by itself would run into the timeout.
    const { status, stdout, stderr } = await project().run(process.execPath, ['silent.mjs', entry], { timeout: 20_000 });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { globals, ...rest } = JSON.parse(stdout);
    expect(rest).toEqual({ listeners: [], resources: [] });
    expect(globals.filter((name: string) => !TFJS_GLOBALS.includes(name))).toEqual([]);
  });

  test('importing on a server that has no browser objects, whatever it renders for', async () => {
    const code = `
      for (const name of ['navigator', 'window', 'document', 'location', 'self', 'fetch', 'WebAssembly', 'SharedArrayBuffer', 'crypto']) delete globalThis[name];
      const { network, summarize } = await import('vgg');
      console.log(summarize(network('vgg16')).parameters, typeof navigator, typeof window);
    `;
    const { status, stdout, stderr } = await project().run(process.execPath, ['--input-type=module', '--eval', code]);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '138357544 undefined undefined\n', stderr: '' });
  });

  test.each(['node16', 'bundler'])('types compile in a strict project, moduleResolution %s', async (moduleResolution) => {
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: 'ES2022',
      lib: ['ES2023', 'DOM', 'ESNext.Disposable'],
      module: moduleResolution === 'node16' ? 'node16' : 'esnext',
      moduleResolution,
      types: [],
      // tfjs's declarations collide with TypeScript's own WebGPU types; ours are checked where they are used.
      skipLibCheck: true,
    };
    const config = project().path(`tsconfig.${moduleResolution}.json`);
    await writeFile(config, JSON.stringify({ compilerOptions, files: ['types.ts'] }));
    const { status, stdout } = await project().run(process.execPath, [tsc, '-p', config]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });

  test('the command: npx vgg --version, vgg info vgg16 --json', async () => {
    const version = await project().run('npx', ['--no-install', 'vgg', '--version']);
    expect(version).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^\D*\d+\.\d+\.\d+\S*\n$/),
      stderr: expect.not.stringContaining('rror'),
    });
    const bin = project().path('node_modules', '.bin', process.platform === 'win32' ? 'vgg.cmd' : 'vgg');
    const info = await project().run(bin, ['info', 'vgg16', '--json']);
    expect(info.status).toBe(0);
    expect(JSON.parse(info.stdout)).toMatchObject({ architecture: 'vgg16', parameters: 138_357_544 });
  });

  test('the command: extract writes the same features', async () => {
    const args = ['extract', 'picture.png', '--weights', 'small.safetensors', '--layer', 'relu2_2', '--json', '--quiet'];
    const bin = join(project().folder, 'node_modules/vgg/bin/vgg.js');
    const { status, stdout, stderr } = await project().run(process.execPath, [bin, ...args]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const [feature] = JSON.parse(stdout).features;
    expect(feature).toMatchObject({ image: 'picture.png', layer: 'relu2_2', shape: [16, 16, 6] });
    expect(relativeError(feature.data, reference().relu2_2)).toBeLessThan(1e-4);
  });
}

/** Node 20 and 22 say that require of an ES module is experimental. */
function withoutExperimental(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => line !== '' && !/ExperimentalWarning: (CommonJS module|require\(\))|--trace-warnings/.test(line))
    .join('\n');
}
