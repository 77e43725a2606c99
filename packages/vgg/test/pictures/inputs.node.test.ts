import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeImage, fixture, pattern } from './fixtures.js';

const picture = pattern(45, 31);
const png = fixture('rgb.png');
let folder: string;
let path: string;
let server: Server;
let origin: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-pictures-'));
  path = join(folder, 'a picture #1.png');
  await writeFile(path, png);
  server = createServer((request, response) => {
    if (request.url === '/rgb.png') response.end(png);
    else if (request.url === '/hang') response.write(png.subarray(0, 100));
    else response.writeHead(404).end('not here');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

describe('inputs of Node', () => {
  it('path', async () => expect(await decodeImage(path)).toEqual(picture));
  it('file: URL', async () => expect(await decodeImage(pathToFileURL(path))).toEqual(picture));
  it('file: URL as text', async () => expect(await decodeImage(pathToFileURL(path).href)).toEqual(picture));
  it('Buffer', async () => expect(await decodeImage(Buffer.from(png))).toEqual(picture));
  it('file stream', async () => expect(await decodeImage(createReadStream(path, { highWaterMark: 100 }))).toEqual(picture));
  it('piped stream', async () => expect(await decodeImage(createReadStream(path).pipe(new PassThrough()))).toEqual(picture));
  it('http: URL', async () => expect(await decodeImage(`${origin}/rgb.png`)).toEqual(picture));
  it('http: URL object', async () => expect(await decodeImage(new URL(`${origin}/rgb.png`))).toEqual(picture));
  it("the caller's fetch", async () =>
    expect(await decodeImage('https://nowhere.invalid/a.png', { fetch: async () => new Response(png) })).toEqual(picture));
});

describe('failures of Node inputs', () => {
  it('no such file', () =>
    expect(decodeImage('/no/such.png')).rejects.toMatchObject({
      code: 'VGG_NOT_FOUND',
      message: 'decode: /no/such.png: there is no such file',
    }));
  it('a folder', () =>
    expect(decodeImage(folder)).rejects.toMatchObject({ code: 'VGG_INPUT', message: expect.stringContaining('received a folder') }));
  it('HTTP 404', () =>
    expect(decodeImage(`${origin}/other`)).rejects.toMatchObject({
      code: 'VGG_NETWORK',
      message: expect.stringContaining('HTTP status 404'),
    }));
  it('no server', () => expect(decodeImage('http://127.0.0.1:9/a.png')).rejects.toMatchObject({ code: 'VGG_NETWORK' }));
  it('a stream with an encoding', () =>
    expect(decodeImage(createReadStream(path, { encoding: 'latin1' }))).rejects.toThrow(
      'expected a stream of bytes, received text; do not set an encoding on it',
    ));

  it('abort ends a download that hangs', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    await expect(decodeImage(`${origin}/hang`, { signal: controller.signal })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  });

  it('abort ends a stream that hangs, and destroys it', async () => {
    const stream = new PassThrough();
    stream.write(png.subarray(0, 100));
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    await expect(decodeImage(stream, { signal: controller.signal })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect(stream.destroyed).toBe(true);
  });
});

describe('AVIF', () => {
  it('is decoded, to the size in its header and nearly the same colours', async () => {
    const { default: sharp } = await import('sharp');
    const raw = { raw: { width: 45, height: 31, channels: 3 as const } };
    const avif = await sharp(picture.data, raw).avif({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer();
    const { width, height, data } = await decodeImage(avif);
    const mean = data.reduce((sum, value, i) => sum + Math.abs(value - picture.data[i]!), 0) / data.length;
    expect([width, height]).toEqual([45, 31]);
    expect(mean).toBeLessThan(8);
    await expect(decodeImage(avif, { maxPixels: 1000 })).rejects.toThrow('expected at most 1,000 pixels, received 45 x 31');
    await expect(decodeImage(avif.subarray(0, avif.length - 50))).rejects.toMatchObject({ code: 'VGG_INPUT' });
  });
});
