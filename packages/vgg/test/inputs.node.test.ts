// The same picture gives the same features whatever form Node has it in.
import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ImageInput, load, type Model } from '../src/index.js';
import { noise, smallFile } from './small-weights.js';

const SIDE = 48;
const LAYER = 'relu3_2';

let model: Model;
let folder: string;
let path: string;
let server: Server;
let data: Uint8Array;
let expected: Float32Array;

beforeAll(async () => {
  model = await load(undefined, { weights: await smallFile(), preprocessing: 'none', backend: 'wasm' });
  const next = noise(11);
  data = Uint8Array.from({ length: SIDE * SIDE * 3 }, () => Math.floor(127.5 + 127.5 * next()));
  folder = await mkdtemp(join(tmpdir(), 'vgg-inputs-'));
  path = join(folder, 'noise.png');
  await writeFile(
    path,
    await sharp(data, { raw: { width: SIDE, height: SIDE, channels: 3 } })
      .png()
      .toBuffer(),
  );
  server = createServer((_, response) => createReadStream(path).pipe(response)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  expected = (await model.extract({ data, width: SIDE, height: SIDE, channels: 3 }, LAYER)).data;
  expect(Math.max(...expected)).toBeGreaterThan(0);
});
afterAll(async () => {
  model.dispose();
  server.close();
  await rm(folder, { recursive: true });
});

/** A program's standard output, as `cat picture.png | vgg ...` gives it. */
function piped(): Readable {
  return spawn(process.execPath, ['-e', 'fs.createReadStream(process.argv[1]).pipe(process.stdout)', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  }).stdout;
}

/** Every kind of picture that Node has, made anew. */
const kinds: Record<string, () => ImageInput | Promise<ImageInput>> = {
  path: () => path,
  'file: URL': () => pathToFileURL(path),
  'file: URL as text': () => pathToFileURL(path).href,
  'http: URL': () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/noise.png`,
  Buffer: () => readFile(path),
  ArrayBuffer: async () => new Uint8Array(await readFile(path)).buffer,
  Blob: async () => new Blob([await readFile(path)]),
  'file stream': () => createReadStream(path),
  'standard input': piped,
  ReadableStream: () => Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>,
  'a tensor of 0..255': () =>
    ({ shape: [SIDE, SIDE, 3], dtype: 'int32', data: async () => Int32Array.from(data) }) as unknown as ImageInput,
};

test.each(Object.entries(kinds))('extract from %s', async (_, make) => {
  const map = await model.extract(await make(), LAYER);
  expect(map.shape).toEqual([1, 12, 12, 16]);
  expect(map.data).toEqual(expected);
});

test('a mixed async list keeps its order', async () => {
  async function* list(): AsyncGenerator<ImageInput> {
    yield path;
    yield { data: new Uint8Array(SIDE * SIDE * 3), width: SIDE, height: SIDE, channels: 3 };
    yield piped();
  }
  const maps = await model.extract(list(), LAYER);
  const size = expected.length;
  const part = (i: number) => maps.data.subarray(i * size, (i + 1) * size);
  for (const i of [0, 2]) expect(part(i)).toEqual(expected);
  expect(part(1)).not.toEqual(expected);
});
