import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile as write } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isVggError } from '@vgg/errors';
import { openWeights } from '@vgg/loaders';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openFileSource, openSource } from './source.js';
import { writeFile } from './write.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-source-'));
});
afterEach(() => rm(folder, { recursive: true }));

const BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i & 255);

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isVggError(error)) throw new Error(`expected a VggError, received ${error}`);
  return error.code;
}

/** Files of this process that are open in the folder. */
async function openHandles(): Promise<number> {
  const links = await Promise.all((await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return links.filter((link) => link.startsWith(folder)).length;
}

describe('openFileSource', () => {
  test('reads ranges, and is read again after it was closed', async () => {
    await write(join(folder, 'a.bin'), BYTES);
    const source = await openFileSource(join(folder, 'a.bin'));
    expect([source.name, source.size]).toEqual(['a.bin', 1000]);
    expect(await source.read(10, 5)).toEqual(BYTES.slice(10, 15));
    await source.close!();
    expect(await source.read(999, 1)).toEqual(BYTES.slice(999));
    await source.close!();
    await source.close!();
  });

  test.skipIf(process.platform !== 'linux')('opens no handle before it reads, and gives it back', async () => {
    await write(join(folder, 'a.bin'), BYTES);
    const source = await openFileSource(join(folder, 'a.bin'));
    expect(await openHandles()).toBe(0);
    await Promise.all([source.read(0, 1), source.read(5, 1)]);
    expect(await openHandles()).toBe(1);
    await source.close!();
    expect(await openHandles()).toBe(0);
  });

  test('reads into memory that is there', async () => {
    await write(join(folder, 'a.bin'), BYTES);
    const source = await openFileSource(join(folder, 'a.bin'));
    const memory = new Uint8Array(300);
    await source.readInto!(memory.subarray(0, 200), 700);
    expect(memory).toEqual(Uint8Array.from([...BYTES.subarray(700, 900), ...new Uint8Array(100)]));
    expect(await codeOf(source.readInto!(memory, 701))).toBe('VGG_INTEGRITY');
    expect(await codeOf(source.readInto!(memory, 0, { signal: AbortSignal.abort() }))).toBe('VGG_ABORTED');
    await source.close?.();
  });

  test('siblings of the same folder only', async () => {
    await mkdir(join(folder, 'models'));
    for (const name of ['secret', 'models/model.json', 'models/shard 1']) await write(join(folder, name), name);
    const source = await openFileSource(join(folder, 'models/model.json'));
    expect((await source.sibling!('shard 1'))!.size).toBe('models/shard 1'.length);
    for (const name of ['../secret', join(folder, 'secret'), '..', 'absent']) expect(await source.sibling!(name)).toBeUndefined();
  });

  test('no file, a folder, bytes outside, a file cut while it is read, an abort', async () => {
    await write(join(folder, 'a.bin'), BYTES);
    expect(await codeOf(openFileSource(join(folder, 'absent.h5')))).toBe('VGG_NOT_FOUND');
    expect(await codeOf(openFileSource(join(folder, 'a.bin', 'b')))).toBe('VGG_NOT_FOUND');
    expect(await codeOf(openFileSource(folder))).toBe('VGG_INPUT');
    const source = await openFileSource(join(folder, 'a.bin'));
    expect(await codeOf(source.read(999, 2))).toBe('VGG_INTEGRITY');
    expect(await codeOf(source.read(0, 1, { signal: AbortSignal.abort() }))).toBe('VGG_ABORTED');
    await write(join(folder, 'a.bin'), BYTES.subarray(0, 500));
    expect(await codeOf(source.read(0, 1000))).toBe('VGG_INTEGRITY');
    await source.close!();
  });
});

describe('openSource', () => {
  test('a path, a file: URL, a Buffer, bytes, a Blob, Files, a source', async () => {
    const path = join(folder, 'a b.bin');
    await write(path, BYTES);
    const inputs = [
      path,
      pathToFileURL(path),
      pathToFileURL(path).href,
      Buffer.from(BYTES),
      BYTES,
      BYTES.slice().buffer,
      new Blob([BYTES]),
      [new File([BYTES], 'a')],
    ];
    for (const input of inputs) {
      const source = await openSource(input);
      expect(await source.read(20, 4)).toEqual(BYTES.slice(20, 24));
      expect(await openSource(source)).toBe(source);
      await source.close?.();
    }
  });

  test('an http URL', async () => {
    const server = createServer((_, response) => response.end(BYTES));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const source = await openSource(`http://127.0.0.1:${(server.address() as AddressInfo).port}/a.bin`);
    expect(await source.read(20, 4)).toEqual(BYTES.slice(20, 24));
    server.close();
  });

  test('what it is not', async () => {
    expect(await codeOf(openSource(new URL('ftp://example.org/a')))).toBe('VGG_INPUT');
    expect(await codeOf(openSource(5 as never))).toBe('VGG_INPUT');
    expect(await codeOf(openSource(null as never))).toBe('VGG_INPUT');
    expect(await codeOf(openSource('a', { signal: AbortSignal.abort() }))).toBe('VGG_ABORTED');
  });

  test('a text file as weights', async () => {
    await write(join(folder, 'notes.txt'), 'no weights');
    expect(await codeOf(openWeights(await openSource(join(folder, 'notes.txt'))))).toBe('VGG_FORMAT');
  });
});

describe('writeFile', () => {
  test('writes the chunks, and leaves nothing beside the file', async () => {
    const path = join(folder, 'out.bin');
    await writeFile(path, [BYTES.subarray(0, 10), new Uint8Array(0), BYTES.subarray(10)]);
    expect(new Uint8Array(await readFile(path))).toEqual(BYTES);
    expect(await readdir(folder)).toEqual(['out.bin']);
  });

  test('a failure in the middle leaves the earlier file and no other', async () => {
    const path = join(folder, 'out.bin');
    await write(path, 'earlier');
    await expect(
      writeFile(
        path,
        (async function* () {
          yield BYTES;
          throw new Error('no more');
        })(),
      ),
    ).rejects.toThrow('no more');
    const abort = new AbortController();
    const aborted = writeFile(
      path,
      (async function* () {
        yield BYTES;
        abort.abort();
        yield BYTES;
      })(),
      { signal: abort.signal },
    );
    expect(await codeOf(aborted)).toBe('VGG_ABORTED');
    expect(await readFile(path, 'utf8')).toBe('earlier');
    expect(await readdir(folder)).toEqual(['out.bin']);
  });

  test('no such folder', async () => {
    expect(await codeOf(writeFile(join(folder, 'absent', 'out.bin'), [BYTES]))).toBe('VGG_OUTPUT');
  });
});
