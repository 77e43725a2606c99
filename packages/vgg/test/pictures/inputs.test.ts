import { describe, expect, it } from 'vitest';
import { decodeImage, fixture, pattern } from './fixtures.js';

const picture = pattern(45, 31);
const png = fixture('rgb.png');

/** A tfjs tensor as far as this package looks at one. */
const tensor = (shape: number[], data: ArrayLike<number>, dtype = 'int32') => ({ shape, dtype, data: () => Promise.resolve(data) });
const refused = (image: unknown, message: string) =>
  expect(decodeImage(image)).rejects.toMatchObject({ code: 'VGG_INPUT', message: expect.stringContaining(message) });

describe('every kind of input gives the same pixels', () => {
  const padded = new Uint8Array(png.length + 10);
  padded.set(png, 5);
  const rgba = new Uint8Array(45 * 31 * 4).fill(7);
  for (let i = 0; i < 45 * 31; i++) rgba.set(picture.data.subarray(i * 3, i * 3 + 3), i * 4);
  const inputs: Record<string, () => unknown> = {
    Uint8Array: () => png,
    'a view into a larger buffer': () => padded.subarray(5, 5 + png.length),
    ArrayBuffer: () => png.buffer,
    DataView: () => new DataView(png.buffer),
    Blob: () => new Blob([png]),
    File: () => new File([png], 'rgb.png'),
    'data: URL': () => `data:image/png;base64,${btoa(String.fromCharCode(...png))}`,
    'blob: URL': () => URL.createObjectURL(new Blob([png])),
    'web ReadableStream': () => new Blob([png]).stream(),
    'a stream of small chunks': () => chunked(png, 37),
    'raw RGB': () => picture,
    'raw RGBA, whose alpha is dropped': () => ({ data: rgba, width: 45, height: 31, channels: 4 }),
    'raw RGB in a clamped array': () => ({ data: new Uint8ClampedArray(picture.data), width: 45, height: 31 }),
    'raw RGB in an ArrayBuffer': () => ({ data: picture.data.slice().buffer, width: 45, height: 31, channels: 3 }),
    'tensor [h, w, 3]': () => tensor([31, 45, 3], Int32Array.from(picture.data)),
    'tensor [1, h, w, 3]': () => tensor([1, 31, 45, 3], Int32Array.from(picture.data)),
    'float tensor': () => tensor([31, 45, 3], Float32Array.from(picture.data), 'float32'),
  };
  for (const [name, input] of Object.entries(inputs)) it(name, async () => expect(await decodeImage(input())).toEqual(picture));

  it('raw grey', async () =>
    expect((await decodeImage({ data: Uint8Array.of(1, 2), width: 2, height: 1, channels: 1 })).data).toEqual(
      Uint8Array.of(1, 1, 1, 2, 2, 2),
    ));

  it('raw pixels are copied before the call returns', async () => {
    const data = picture.data.slice();
    const decoding = decodeImage({ data, width: 45, height: 31 });
    data.fill(0);
    expect(await decoding).toEqual(picture);
  });
});

describe('inputs that are no picture are refused', () => {
  it('null', () => refused(null, 'received null'));
  it('a number', () => refused(5, 'received number'));
  it('a plain object', () => refused({ path: 'a.jpg' }, 'received Object'));
  it('raw pixels of the wrong length', () =>
    refused({ data: new Uint8Array(11), width: 2, height: 2, channels: 3 }, 'expected 2 x 2 x 3 = 12 bytes, received 11'));
  it('raw pixels of two channels', () =>
    refused({ data: new Uint8Array(8), width: 2, height: 2 }, 'expected 1, 3 or 4 channels, received 2'));
  it('raw floats', () =>
    refused({ data: new Float32Array(12), width: 2, height: 2 }, 'expected 8-bit pixels in a Uint8Array, received Float32Array'));
  it('a fractional width', () =>
    refused({ data: new Uint8Array(12), width: 1.5, height: 2 }, 'expected a width and height of whole pixels'));
  it('a tensor of another rank', () =>
    refused(tensor([4, 4], new Int32Array(16)), 'expected a tensor [h, w, 3] or [1, h, w, 3], received [4, 4]'));
  it('a tensor of 0..1', () => refused(tensor([1, 1, 3], [0.5, 1, 0], 'float32'), 'received fractions from 0 to 1; multiply by 255'));
  it('a tensor of centred values', () =>
    refused(tensor([1, 1, 3], [-103.9, 1, 0], 'float32'), 'expected tensor values from 0 to 255, received -103.9'));
  it('a tensor with NaN', () => refused(tensor([1, 1, 3], [Number.NaN, 1, 0], 'float32'), 'received NaN'));
  it('a stream of text', () =>
    refused(new ReadableStream({ start: (controller) => controller.enqueue('abc') }), 'expected a stream of bytes, received text'));
});

describe('abort', () => {
  it('before', () => expect(decodeImage(png, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'VGG_ABORTED' }));

  it('ends a stream that hangs, and cancels it', async () => {
    let cancelled = false;
    const stream = new ReadableStream({
      start: (controller) => controller.enqueue(png.slice(0, 50)),
      cancel: () => {
        cancelled = true;
      },
    });
    const controller = new AbortController();
    const decoding = decodeImage(stream, { signal: controller.signal });
    setTimeout(() => controller.abort(), 10);
    await expect(decoding).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect(cancelled).toBe(true);
  });

  it('a bomb in a stream is left after its header', async () => {
    const bomb = png.slice();
    new DataView(bomb.buffer).setUint32(16, 1e7);
    let pulls = 0;
    const stream = new ReadableStream({
      pull: (controller) => {
        controller.enqueue(pulls++ === 0 ? bomb : new Uint8Array(1 << 16));
      },
    });
    await expect(decodeImage(stream)).rejects.toThrow('expected at most 100,000,000 pixels');
    expect(pulls).toBeLessThan(10);
  });
});

function chunked(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}
