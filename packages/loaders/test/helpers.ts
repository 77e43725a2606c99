import { isVggError, type VggErrorCode } from '@vgg/errors';
import { expect } from 'vitest';
import { bytesSource, openWeights, type Source, type WeightFile } from '../src/index.js';

/** By itself, since `new URL(..., import.meta.url)` is rewritten by the bundler that serves the tests. */
const HERE = import.meta.url;

/** A file of the fixtures: from disk in Node, from the server of the tests in Chromium. */
export async function fixture(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const url = fixtureUrl(name);
  if (url.protocol === 'file:') {
    const { readFile } = await import('node:fs/promises');
    return new Uint8Array(await readFile(url));
  }
  const response = await fetch(url);
  // The server answers a page of its own for what it does not have.
  if (!response.ok || response.headers.get('content-type')?.startsWith('text/html')) throw new Error(`no fixture ${name}`);
  return new Uint8Array(await response.arrayBuffer());
}

export function fixtureUrl(name: string): URL {
  return new URL(`fixtures/${name}`, HERE);
}

export async function open(name: string): Promise<WeightFile> {
  return openWeights(bytesSource(await fixture(name), name));
}

/** The values that make_h5.py writes. */
export function ramp(count: number, unsigned = false): number[] {
  return Array.from({ length: count }, (_, i) => ((37 * i) % 101) - (unsigned ? 0 : 50));
}

/** Rejects with a VggError of this code, in one sentence that holds this text. */
export async function refuses(work: Promise<unknown> | (() => unknown), code: VggErrorCode, text: string | RegExp): Promise<void> {
  const error = await Promise.resolve(typeof work === 'function' ? (async () => work())() : work).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(isVggError(error), String(error)).toBe(true);
  expect((error as Error & { code: string }).code).toBe(code);
  expect((error as Error).message).toMatch(text);
  expect((error as Error).message).not.toContain('\n');
}

/** A source that counts what is read through it, and where. */
export function counted(source: Source): Source & { reads: number; bytes: number; offsets: number[] } {
  const self = {
    ...source,
    reads: 0,
    bytes: 0,
    offsets: [] as number[],
    read(offset: number, length: number, options?: { signal?: AbortSignal }) {
      self.reads++;
      self.offsets.push(offset);
      self.bytes += length;
      return source.read(offset, length, options);
    },
  };
  return self;
}
