// Of a published set over the network only what the taps need is fetched.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canonicalTensors } from '@vgg/loaders';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SMALL_PLAN, smallFile } from '../../test/small-weights.js';
import { convert } from '../convert/convert.js';
import { load } from '../load.js';
import { network } from '../network/architecture.js';
import { weightSpecs } from './specs.js';

/** VGG-16 as safetensors: its header, and its length. */
function header(): { head: Uint8Array; size: number } {
  let at = 0;
  const entries: Record<string, object> = {};
  for (const { name, shape } of weightSpecs(network('vgg16')).flatMap(canonicalTensors)) {
    const end = at + 4 * shape.reduce((product, side) => product * side, 1);
    entries[name] = { dtype: 'F32', shape, data_offsets: [at, end] };
    at = end;
  }
  const text = JSON.stringify(entries);
  const length = Math.ceil(text.length / 8) * 8;
  const head = Buffer.alloc(8 + length, ' ');
  head.writeBigUInt64LE(BigInt(length));
  head.write(text, 8);
  return { head, size: head.length + at };
}

/** Bytes of the file: those of the data follow from where they are, and make small float32 values of either sign. */
function bytesAt({ head }: { head: Uint8Array }, start: number, end: number): Uint8Array {
  const out = Buffer.alloc(end - start);
  for (let at = start; at < end; at++) {
    const place = (at - head.length) & 3;
    const mixed = Math.imul(at >>> 2, 2654435761) >>> 0;
    out[at - start] = at < head.length ? head[at]! : place === 3 ? 0x3c | ((mixed >>> 24) & 0x80) : place === 2 ? mixed >>> 9 : 0;
  }
  return out;
}

let server: Server;
let origin: string;
let sent: number;
let requests: string[];
let serve: (start: number, end: number) => Uint8Array;
let size: number;
let cache: string;

beforeEach(async () => {
  sent = 0;
  requests = [];
  cache = await mkdtemp(join(tmpdir(), 'vgg-partial-'));
  vi.stubEnv('VGG_CACHE', cache);
  server = createServer((request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    if (from === undefined) return void response.writeHead(500).end(); // nobody should want it whole
    const end = Math.min(size, to ? Number(to) + 1 : size);
    requests.push(`${request.url} ${from}-${end}`);
    sent += end - Number(from);
    response.writeHead(206, { 'content-range': `bytes ${from}-${end - 1}/${size}`, 'content-length': end - Number(from), etag: '"one"' });
    response.end(serve(Number(from), end));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(cache, { recursive: true });
});

const grey = { data: new Uint8Array(32 * 32 * 3).fill(99), width: 32, height: 32, channels: 3 } as const;

describe('vgg16.timm, 553 MB on a server', () => {
  beforeEach(() => {
    const file = header();
    size = file.size;
    serve = (start, end) => bytesAt(file, start, end);
  });

  it.each([
    ['relu4_3', 31e6, 30_541_056],
    ['relu5_3', 60e6, 58_858_752],
  ])('%s needs at most %d bytes of it', async (layer, most, least) => {
    expect(size).toBeGreaterThan(553e6);
    const model = await load('vgg16', { weights: 'vgg16.timm', layers: [layer], mirrors: [origin], backend: 'wasm' });
    const map = await model.extract(grey, layer, { size: 32 });
    expect(map.data.some((value) => value > 0)).toBe(true);
    model.dispose();
    expect(sent).toBeGreaterThanOrEqual(least);
    expect(sent).toBeLessThanOrEqual(most);
    expect(new Set(requests.map((request) => request.split(' ')[0]))).toEqual(new Set(['/vgg16.timm_tv_in1k.safetensors']));
    expect(await readdir(cache)).toEqual([]);
  });

  it('converting what a layer needs fetches no more, either', async () => {
    await convert('vgg16.timm', join(cache, 'part.safetensors'), { layers: ['relu2_2'], mirrors: [origin] });
    expect(sent).toBeLessThan(1.3e6);
  });

  it('offline, nothing is asked for', async () => {
    const options = { weights: 'vgg16.timm', layers: ['relu1_1'], mirrors: [origin], offline: true };
    await expect(load('vgg16', options)).rejects.toMatchObject({ code: 'VGG_NETWORK' });
    expect(requests).toEqual([]);
  });
});

it('an architecture alone, as weights, is its published set', async () => {
  for (const [layers, set] of [
    ['relu1_1', 'vgg16.keras_in1k_notop'],
    ['prob', 'vgg16.keras_in1k'],
  ]) {
    await expect(load(undefined, { weights: 'vgg16', layers, offline: true, backend: 'wasm' })).rejects.toMatchObject({
      code: 'VGG_NETWORK',
      message: expect.stringMatching(`^${set}: expected it in `),
    });
  }
});

describe('a file of ours on a server, with the hash of each tensor', () => {
  let bytes: Buffer;
  /** How often the byte in the middle of fc6 comes out wrong. */
  let wrong: number;
  let place: number;

  beforeEach(async () => {
    const [small, native] = [join(cache, 'small.safetensors'), join(cache, 'native.safetensors')];
    const { writeFile } = await import('node:fs/promises');
    await writeFile(small, await smallFile({ ...SMALL_PLAN, dense: [200] }));
    await convert(small, native);
    bytes = await readFile(native);
    size = bytes.length;
    const head = 8 + Number(bytes.readBigUInt64LE(0));
    const [start, end] = JSON.parse(bytes.subarray(8, head).toString())['fc6.weight'].data_offsets;
    place = head + (start + end) / 2;
    serve = (from, to) => {
      const part = Buffer.from(bytes.subarray(from, to));
      if (from <= place && place < to && wrong-- > 0) part[place - from]! ^= 1;
      return part;
    };
  });

  it('a wrong byte costs that tensor again, and nothing else', async () => {
    wrong = 1;
    const model = await load(undefined, { weights: `${origin}/native.safetensors`, layers: ['prob'], backend: 'wasm' });
    const expected = await load(undefined, { weights: bytes, layers: ['prob'], backend: 'wasm' });
    expect((await model.extract(grey, 'prob', { size: 32 })).data).toEqual((await expected.extract(grey, 'prob', { size: 32 })).data);
    for (const each of [model, expected]) each.dispose();
    const twice = requests.filter((request, i) => requests.indexOf(request) !== i);
    expect(twice).toHaveLength(1);
  });

  it('a byte that stays wrong is refused', async () => {
    wrong = 2;
    await expect(load(undefined, { weights: `${origin}/native.safetensors`, layers: ['prob'], backend: 'wasm' })).rejects.toMatchObject({
      code: 'VGG_INTEGRITY',
      message: expect.stringContaining('tensor "fc6.weight" with sha256'),
    });
  });
});
