import { expect, test } from 'vitest';
import { httpSource, openWeights } from '../../src/index.js';
import { fixture, fixtureUrl, ramp, refuses } from '../helpers.js';

// Against the server of the tests, which has Range requests; http.node.test.ts has servers that cut, lie and redirect.
const PATH = 'hdf5/earliest.h5';
const NAME = 'earliest.h5';

/** The page's own fetch, and what it was asked. */
function observed(change: (headers: Headers) => void = () => {}) {
  const log: string[] = [];
  const own = (url: URL, init: RequestInit) => {
    const headers = new Headers(init.headers);
    log.push(`${init.method} ${url.pathname.split('/').pop()} ${headers.get('range') ?? '-'}`);
    change(headers);
    return fetch(url, { ...init, headers });
  };
  return { fetch: own as typeof fetch, log };
}

test('Range requests: only what is asked for, small reads together', async () => {
  const bytes = await fixture(PATH);
  const { fetch, log } = observed();
  const source = await httpSource(fixtureUrl(PATH), { fetch });
  expect([source.name, source.size]).toEqual([NAME, bytes.length]);
  for (const at of [0, 70_000, 70_100, 98_000, 65_534]) expect(await source.read(at, 10)).toEqual(bytes.slice(at, at + 10));
  expect(await source.read(50_000, 100_000)).satisfy((read: Uint8Array) => read.every((byte, i) => byte === bytes[50_000 + i]));
  expect(log).toEqual([`GET ${NAME} bytes=0-65535`, `GET ${NAME} bytes=65536-98303`, `GET ${NAME} bytes=50000-149999`]);
});

test('an .h5 is opened and read in one request', async () => {
  const { fetch, log } = observed();
  const file = await openWeights(await httpSource(fixtureUrl('keras/keras-published.h5'), { fetch }));
  expect([...(await file.read('fc2/kernel'))]).toEqual(ramp(64));
  expect(log).toEqual(['GET keras-published.h5 bytes=0-65535']);
});

test('no Range requests: the whole file, with progress', async () => {
  const bytes = await fixture(PATH);
  const { fetch, log } = observed((headers) => headers.delete('range'));
  const seen: (number | undefined)[][] = [];
  const source = await httpSource(fixtureUrl(PATH), { fetch, onProgress: ({ loaded, total }) => void seen.push([loaded, total]) });
  expect(await source.read(199_000, 1000)).toEqual(bytes.slice(199_000, 200_000));
  expect(seen.at(-1)).toEqual([bytes.length, bytes.length]);
  expect(log.length).toBe(1);
});

test('a sibling costs no bytes until it is read, and then only those read', async () => {
  const { fetch, log } = observed();
  const source = await httpSource(fixtureUrl('hdf5/paged.h5'), { fetch });
  const sibling = (await source.sibling!(NAME))!;
  const bytes = await fixture(PATH);
  expect(sibling.size).toBe(bytes.length);
  expect(await sibling.read(1000, 8)).toEqual(bytes.slice(1000, 1008));
  expect(log.slice(1)).toEqual([`HEAD ${NAME} bytes=0-0`, `GET ${NAME} bytes=0-32767`]);
  for (const name of ['../x', '//evil/x', 'http://evil/x', '..']) await refuses(source.sibling!(name), 'VGG_INTEGRITY', /plain name/);
});

test('no server, an abort', async () => {
  await refuses(httpSource('http://127.0.0.1:1/x'), 'VGG_NETWORK', /could not be reached/);
  const abort = new AbortController();
  const opening = httpSource(fixtureUrl(PATH), { signal: abort.signal });
  abort.abort();
  await refuses(opening, 'VGG_ABORTED', /AbortSignal/);
});
