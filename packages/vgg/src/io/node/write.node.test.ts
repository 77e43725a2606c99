import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, writeFile as put, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OutputFile, Patch } from '@vgg/loaders';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { writeFile, writeFiles } from './write.js';

let folder: string;
const at = (name: string) => join(folder, name);
const read = async (name: string) => [...(await readFile(at(name)))];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-write-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const file = (name: string, ...chunks: (Uint8Array | Patch)[]): OutputFile => ({
  name,
  async *chunks() {
    yield* chunks;
  },
});
const bytes = (...values: number[]) => Uint8Array.from(values);

describe('writeFiles', () => {
  test('all files beside the target, which gives the last one its name, with their patches', async () => {
    await writeFiles(at('mine.json'), [
      file('a.bin', bytes(1, 2, 3), bytes(4), { at: 1, bytes: bytes(9, 8) }),
      file('model.json', bytes(5)),
    ]);
    expect((await readdir(folder)).sort()).toEqual(['a.bin', 'mine.json']);
    expect(await read('a.bin')).toEqual([1, 9, 8, 4]);
  });

  test('a folder that is not there is made only where it is asked for', async () => {
    const files = [file('model.json', bytes(1))];
    await expect(writeFiles(at('in/model.json'), files)).rejects.toMatchObject({
      code: 'VGG_OUTPUT',
      message: expect.stringMatching(/ENOENT/),
    });
    await writeFiles(at('in/model.json'), files, { makeFolder: true });
    expect(await read('in/model.json')).toEqual([1]);
  });

  test('a failure or an abort leaves what was there, and nothing else', async () => {
    await put(at('model.json'), 'old');
    await put(at('a.bin'), 'old');
    const failing: OutputFile = {
      name: 'model.json',
      async *chunks() {
        yield bytes(1);
        throw new Error('no more');
      },
    };
    const abort = new AbortController();
    const stopped: OutputFile = {
      name: 'model.json',
      async *chunks() {
        abort.abort();
        yield bytes(1);
      },
    };
    await expect(writeFiles(at('model.json'), [file('a.bin', bytes(7)), failing])).rejects.toThrow('no more');
    await expect(writeFiles(at('model.json'), [file('a.bin', bytes(7)), stopped], { signal: abort.signal })).rejects.toMatchObject({
      code: 'VGG_ABORTED',
    });
    await expect(writeFile(at('model.json'), [bytes(1), { at: 0, bytes: bytes(1, 2) }])).rejects.toMatchObject({
      code: 'VGG_OUTPUT',
      message: expect.stringMatching(/over the 1 written/),
    });
    expect((await readdir(folder)).sort()).toEqual(['a.bin', 'model.json']);
    expect(await readFile(at('a.bin'), 'utf8')).toBe('old');
    expect(await readFile(at('model.json'), 'utf8')).toBe('old');
  });

  test('where a folder has the name of one of the files, nothing is touched', async () => {
    await put(at('model.json'), 'old');
    await mkdir(at('a.bin'));
    await expect(writeFiles(at('model.json'), [file('a.bin', bytes(1)), file('model.json', bytes(1))])).rejects.toMatchObject({
      code: 'VGG_OUTPUT',
      message: expect.stringMatching(/a\.bin: .*folder of this name/),
    });
    expect(await readFile(at('model.json'), 'utf8')).toBe('old');
    expect((await readdir(folder)).sort()).toEqual(['a.bin', 'model.json']);
  });

  test.each(['../a.bin', '/a.bin', 'model.json', ''])('a companion called %j is refused', async (name) => {
    await expect(writeFiles(at('model.json'), [file(name, bytes(1)), file('model.json', bytes(1))])).rejects.toMatchObject({
      code: 'VGG_OUTPUT',
    });
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('killed at any moment', () => {
  // The child says each step that it is about to take with the file system and takes it when it is told to.
  const CHILD = `
    import { createRequire, syncBuiltinESMExports } from 'node:module';
    const fs = createRequire('/')('node:fs/promises');
    const steps = process.stdin[Symbol.asyncIterator]();
    const step = async (name) => { process.stdout.write(name + '\\n'); await steps.next(); };
    for (const name of ['open', 'rename', 'rm']) {
      const real = fs[name];
      fs[name] = async (...args) => { await step(name); return real(...args); };
    }
    syncBuiltinESMExports();
    const { writeFiles } = await import('WRITE');
    const [target, ...names] = process.argv.slice(2);
    const files = names.map((name, i) => ({ name, async *chunks() {
      for (let k = 0; k < 3; k++) { await step('chunk'); yield new TextEncoder().encode('new ' + i); }
    } }));
    await writeFiles(target, files);
    process.stdout.write('done\\n');
    process.exit();
  `;
  let built: string;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    built = await mkdtemp(join(tmpdir(), 'vgg-write-child-'));
    await build({
      entryPoints: [join(import.meta.dirname, 'write.ts')],
      bundle: true,
      platform: 'node',
      format: 'esm',
      conditions: ['@vgg/source'],
      outfile: join(built, 'write.mjs'),
      logLevel: 'error',
    });
    await put(join(built, 'child.mjs'), CHILD.replace('WRITE', './write.mjs'));
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await rm(built, { recursive: true });
  });

  /** Lets the child take so many steps, then kills it; the steps that it named, the one that it did not take among them. */
  async function run(names: readonly string[], most: number): Promise<string[]> {
    const child = spawn(process.execPath, [join(built, 'child.mjs'), at(names.at(-1)!), ...names], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    const ended = new Promise((resolve) => child.on('close', resolve));
    const said: string[] = [];
    for await (const text of child.stdout!) {
      said.push(...String(text).trim().split('\n'));
      if (said.at(-1) === 'done' || said.length > most) break;
      child.stdin!.write('go\n');
    }
    child.kill('SIGKILL');
    await ended;
    return said;
  }

  const OLD = (i: number) => `old ${i}`;
  const NEW = (i: number) => `new ${i}`.repeat(3);

  test.each([
    ['a single file', ['a.safetensors']],
    ['a file with two beside it', ['a-shard1of2.bin', 'a-shard2of2.bin', 'model.json']],
  ])('%s never looks whole when it is not', async (_, names) => {
    const outcomes = new Set<string>();
    for (let most = 0, isDone = false; !isDone; most++) {
      await rm(folder, { recursive: true });
      await mkdir(folder);
      for (const [i, name] of names.entries()) await put(at(name), OLD(i));
      isDone = (await run(names, most)).at(-1) === 'done';
      const found = await Promise.all(names.map((name) => readFile(at(name), 'utf8').catch(() => undefined)));
      const all = (of: (i: number) => string) => found.every((text, i) => text === of(i));
      const outcome = all(OLD) ? 'old' : all(NEW) ? 'new' : found.at(-1) === undefined ? 'no main file' : 'mixed';
      outcomes.add(outcome);
      expect({ most, outcome }).not.toEqual({ most, outcome: 'mixed' });
      if (isDone) expect(outcome).toBe('new');
    }
    expect([...outcomes]).toEqual(names.length === 1 ? ['old', 'new'] : ['old', 'no main file', 'new']);
  });
});
