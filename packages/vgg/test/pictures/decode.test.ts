import { describe, expect, it } from 'vitest';
import { cmyk, decodeImage, expected, fixture, fixtures, fromBase64 } from './fixtures.js';

describe('decoding gives the bytes of Pillow', () => {
  for (const { name, bytes, upright, ...pixels } of fixtures) {
    it(name, async () => {
      expect(await expected(await decodeImage(fromBase64(bytes), { name }))).toEqual(pixels);
      expect(await expected(await decodeImage(fromBase64(bytes), { name, orientation: true }))).toEqual(upright ?? pixels);
    });
  }

  it('refuses CMYK, on which decoders differ', async () => {
    await expect(decodeImage(cmyk, { name: 'print.jpg' })).rejects.toMatchObject({
      code: 'VGG_INPUT',
      message: expect.stringContaining('print.jpg: expected an 8-bit grey or RGB picture, received a CMYK JPEG'),
    });
  });

  it('what the first frame of a GIF does not cover is black', async () => {
    const bytes = fixture('palette.gif');
    new DataView(bytes.buffer).setUint16(6, 50, true);
    const { width, data } = await decodeImage(bytes);
    expect([width, ...data.subarray(44 * 3, 46 * 3)]).toEqual([
      50,
      ...(await decodeImage(fixture('palette.gif'))).data.subarray(44 * 3, 45 * 3),
      0,
      0,
      0,
    ]);
  });

  it('leaves the given bytes as they were', async () => {
    for (const name of ['exif-6.jpg', 'exif-6.png', 'transparent.gif']) {
      const bytes = fixture(name);
      await decodeImage(bytes);
      expect(bytes).toEqual(fixture(name));
    }
  });
});
