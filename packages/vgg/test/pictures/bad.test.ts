import { describe, expect, it } from 'vitest';
import { decodeImage, fixture, fixtures, fromBase64 } from './fixtures.js';

const refused = (bytes: Uint8Array, message: string) =>
  expect(decodeImage(bytes, { name: 'bad.jpg' })).rejects.toMatchObject({ code: 'VGG_INPUT', message: expect.stringContaining(message) });

describe('bad pictures are refused in one sentence', () => {
  it('empty', () => refused(new Uint8Array(0), 'bad.jpg: expected a JPEG, PNG, WebP, GIF or AVIF picture, received no bytes'));
  it('text', () => refused(new TextEncoder().encode('ants and bees\n'), 'received the text "ants and bees\\n"'));
  it('HTML', () => refused(new TextEncoder().encode('<!doctype html><p>404'), 'received an HTML page'));
  it('TIFF', () => refused(new TextEncoder().encode('II*\0\x08\0\0\0'), 'received a TIFF file; convert it first'));
  it('SVG', () => refused(new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'received an SVG or XML file'));
  it('noise', () =>
    refused(
      Uint8Array.from({ length: 999 }, (_, i) => (i * i * 31 + i) % 251),
      'received 999 bytes of something else',
    ));

  for (const { name, bytes } of fixtures) {
    // What follows the first frame of a GIF may be missing without loss.
    const parts = name === 'animated.gif' ? [0.3] : name.endsWith('.gif') ? [0.3, 0.6] : [0.3, 0.6, 0.9, 0.99];
    it(`${name}, truncated`, async () => {
      const whole = fromBase64(bytes);
      for (const part of parts) await refused(whole.slice(0, Math.floor(whole.length * part)), 'bad.jpg: expected a');
    });
  }

  it('a PNG with one changed byte in its pixels', () => {
    const bytes = fixture('rgb.png');
    bytes[bytes.length >> 1]! ^= 1;
    return refused(bytes, 'its IDAT chunk is corrupt (its checksum does not match)');
  });

  // Decoders show these with grey or garbled blocks, most of them without a word.
  const changes: Record<string, (bytes: Uint8Array, from: number) => Uint8Array> = {
    'zeros for a stretch': (bytes, from) => bytes.fill(0, from, from + 100),
    'ones for a stretch': (bytes, from) => bytes.fill(0xff, from, from + 100),
    'other bytes for a stretch': (bytes, from) => bytes.copyWithin(from, from - 150, from - 50),
    'a stretch missing': (bytes, from) => bytes.copyWithin(from, from + 60).subarray(0, bytes.length - 60),
  };
  for (const name of ['rgb-444.jpg', 'grey.jpg', 'progressive.jpg'])
    for (const [title, change] of Object.entries(changes))
      it(`${name}, ${title}`, () => {
        const bytes = fixture(name);
        return refused(change(bytes, Math.floor(bytes.length * 0.7)), 'but its data is corrupt');
      });

  it('a PNG whose size is not its own', () => {
    const bytes = fixture('rgb.png');
    bytes[19] = 200;
    return refused(bytes, 'its IHDR chunk is corrupt');
  });
});

describe('pictures that could pass the cap by a second size', () => {
  it('a GIF whose first frame is larger than it', () =>
    refused(
      patched('palette.gif', (view) => view.setUint16(6, 3, true)),
      'its first frame reaches beyond it',
    ));
  it('a JPEG of many components', () => {
    const bytes = fixture('grey.jpg');
    bytes[bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0) + 9] = 200;
    return refused(bytes, 'received a JPEG of 200 components');
  });
});

describe('decompression bombs fail on their header', () => {
  const bombs: Record<string, (width: number, height: number) => Uint8Array> = {
    png: (width, height) =>
      patched('rgb.png', (view) => {
        view.setUint32(16, width);
        view.setUint32(20, height);
      }),
    gif: (width, height) =>
      patched('palette.gif', (view) => {
        view.setUint16(6, width, true);
        view.setUint16(8, height, true);
      }),
    jpg: (width, height) =>
      patched('rgb-420.jpg', (view, bytes) => {
        const frame = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0);
        view.setUint16(frame + 5, height);
        view.setUint16(frame + 7, width);
      }),
    webp: (width, height) => patched('lossless.webp', (view) => view.setUint32(21, (width - 1) | ((height - 1) << 14), true)),
  };
  for (const [format, make] of Object.entries(bombs)) {
    it(format, async () => {
      const [width, height] = format === 'webp' ? [16_384, 16_000] : [20_000, 10_000];
      await refused(make(width, height), `expected at most 100,000,000 pixels, received ${width} x ${height} = `);
      await refused(make(width, height), 'pass maxPixels to allow more');
    });
  }

  it('the cap is an option', async () => {
    await expect(decodeImage(fixture('rgb.png'), { maxPixels: 1000 })).rejects.toThrow(
      'expected at most 1,000 pixels, received 45 x 31 = 1,395',
    );
    expect((await decodeImage(fixture('rgb.png'), { maxPixels: 1395 })).width).toBe(45);
  });

  it('raw pixels count too', () =>
    expect(decodeImage({ data: new Uint8Array(12), width: 1e6, height: 1e6 })).rejects.toThrow('expected at most 100,000,000 pixels'));
});

function patched(name: string, change: (view: DataView, bytes: Uint8Array) => void): Uint8Array {
  const bytes = fixture(name);
  change(new DataView(bytes.buffer), bytes);
  return bytes;
}
