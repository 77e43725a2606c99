// A tfjs model of ours on a server: each shard is checked, and one that arrives damaged is asked for once more.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SMALL_PLAN, smallFile } from '../../test/small-weights.js';
import { convert } from '../convert/convert.js';
import { load } from '../load.js';

/** The weight of fc7 runs through two shards; the last one, which has the end of fc8, is short enough for the cache of small reads. */
const PLAN = { ...SMALL_PLAN, dense: [1000, 1828], classes: 5 };
const name = (i: number) => `group1-shard${i}of3.bin`;

let folder: string;
let files: Map<string, Buffer>;
let server: Server;
let origin: string;
/** What was asked for with its bytes, `HEAD` apart. */
let requests: string[];
let fault: { shard: string; times: number } | undefined;
/** How the server is: as most are, one that refuses HEAD, or one that knows no Range. */
let kind: 'usual' | 'no HEAD' | 'no Range';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-shards-'));
  const small = join(folder, 'small.safetensors');
  await writeFile(small, await smallFile(PLAN));
  await mkdir(join(folder, 'tfjs'));
  const { files: written } = await convert(small, join(folder, 'tfjs', 'model.json'));
  files = new Map(await Promise.all(written.map(async (file) => [file.name, await readFile(join(folder, 'tfjs', file.name))] as const)));
});
afterAll(() => rm(folder, { recursive: true }));

beforeEach(async () => {
  requests = [];
  fault = undefined;
  kind = 'usual';
  server = createServer((request, response) => {
    const path = request.url!.slice(1);
    const bytes = files.get(path);
    if (!bytes) return void response.writeHead(404).end();
    if (request.method === 'HEAD') return void response.writeHead(kind === 'no HEAD' ? 405 : 200, { 'content-length': bytes.length }).end();
    const [, from, to] = (kind !== 'no Range' && /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')) || [];
    const start = Number(from ?? 0);
    const part = Buffer.from(bytes.subarray(start, to === undefined ? bytes.length : Number(to) + 1));
    requests.push(path);
    if (fault?.shard === path && fault.times-- > 0) part[part.length >> 1]! ^= 1;
    const range = { 'content-range': `bytes ${start}-${start + part.length - 1}/${bytes.length}` };
    response.writeHead(from === undefined ? 200 : 206, { 'content-length': part.length, ...(from !== undefined && range) }).end(part);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const grey = { data: new Uint8Array(32 * 32 * 3).fill(99), width: 32, height: 32, channels: 3 } as const;

async function outputs(weights: string, layer: string): Promise<Float32Array> {
  const model = await load(undefined, { weights, layers: [layer], backend: 'wasm' });
  try {
    return (await model.extract(grey, layer, { size: 32 })).data;
  } finally {
    model.dispose();
  }
}

const shardsAsked = () => requests.filter((path) => path !== 'model.json').sort();

it('the model has three shards, the last a short one, and their hashes', () => {
  expect([...files.keys()]).toEqual([name(1), name(2), name(3), 'model.json']);
  expect(files.get(name(3))!.length).toBeLessThan(32768);
  expect(JSON.parse(files.get('model.json')!.toString()).weightsManifest[0].sha256).toHaveLength(3);
});

describe.each([1, 2, 3])('shard %i', (i) => {
  it('with a wrong byte is asked for again, it alone, and the values are right', async () => {
    fault = { shard: name(i), times: 1 };
    const expected = await outputs(join(folder, 'small.safetensors'), 'prob');
    expect(await outputs(`${origin}/model.json`, 'prob')).toEqual(expected);
    expect(shardsAsked()).toEqual([name(1), name(2), name(3), name(i)].sort());
  });

  it('that stays wrong is refused by its name', async () => {
    fault = { shard: name(i), times: 2 };
    await expect(outputs(`${origin}/model.json`, 'prob')).rejects.toMatchObject({
      code: 'VGG_INTEGRITY',
      message: expect.stringContaining(`expected shard "${name(i)}" with sha256`),
    });
    expect(requests.filter((path) => path === name(i))).toHaveLength(2);
  });
});

it('what a layer needs is in the first shard, and no other is asked for', async () => {
  fault = { shard: name(1), times: 1 };
  const expected = await outputs(join(folder, 'small.safetensors'), 'relu3_2');
  expect(await outputs(`${origin}/model.json`, 'relu3_2')).toEqual(expected);
  expect(shardsAsked()).toEqual([name(1), name(1)]);
});

it.each(['no HEAD', 'no Range'] as const)('of a server with %s a damaged shard is fetched again, too', async (each) => {
  kind = each;
  for (const i of [1, 3]) {
    fault = { shard: name(i), times: 1 };
    const expected = await outputs(join(folder, 'small.safetensors'), 'prob');
    expect(await outputs(`${origin}/model.json`, 'prob')).toEqual(expected);
    expect(fault.times).toBeLessThanOrEqual(0);
  }
});
