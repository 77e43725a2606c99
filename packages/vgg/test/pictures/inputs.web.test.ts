import { describe, expect, it } from 'vitest';
import { decodeImage, fixture, pattern } from './fixtures.js';

const picture = pattern(45, 31);
const png = fixture('rgb.png');
const blob = new Blob([png], { type: 'image/png' });

function imageData(): ImageData {
  const data = new ImageData(45, 31);
  for (let i = 0; i < 45 * 31; i++) data.data.set([...picture.data.subarray(i * 3, i * 3 + 3), 255], i * 4);
  return data;
}

function drawn<Canvas extends HTMLCanvasElement | OffscreenCanvas>(canvas: Canvas): Canvas {
  (canvas.getContext('2d') as OffscreenCanvasRenderingContext2D).putImageData(imageData(), 0, 0);
  return canvas;
}

async function img(bytes: Blob): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = URL.createObjectURL(bytes);
  return image;
}

function canvasElement(): HTMLCanvasElement {
  return Object.assign(document.createElement('canvas'), { width: 45, height: 31 });
}

function webglCanvas(): OffscreenCanvas {
  const canvas = new OffscreenCanvas(8, 4);
  const gl = canvas.getContext('webgl', { preserveDrawingBuffer: true })!;
  gl.clearColor(1, 0, 0.2, 1);
  gl.clear(gl.COLOR_BUFFER_BIT);
  return canvas;
}

describe('inputs of a page give the pixels of the file', () => {
  const inputs: Record<string, () => unknown> = {
    'img, not yet loaded': () => img(blob),
    'img, loaded': async () => {
      const image = await img(blob);
      await image.decode();
      return image;
    },
    canvas: () => drawn(canvasElement()),
    OffscreenCanvas: () => drawn(new OffscreenCanvas(45, 31)),
    ImageData: imageData,
    ImageBitmap: () => createImageBitmap(blob),
    VideoFrame: async () => new VideoFrame(await createImageBitmap(blob), { timestamp: 0 }),
  };
  for (const [name, input] of Object.entries(inputs)) {
    it(name, async () => {
      const image = await input();
      expect(await decodeImage(image)).toEqual(picture);
      // Ours are closed, the caller's are left open.
      expect(await decodeImage(image)).toEqual(picture);
      if (image instanceof VideoFrame) image.close();
    });
  }

  it('an element of another document', async () => {
    const frame = document.body.appendChild(document.createElement('iframe'));
    const canvas = frame.contentDocument!.createElement('canvas');
    Object.assign(canvas, { width: 45, height: 31 });
    expect(await decodeImage(drawn(canvas))).toEqual(picture);
    frame.remove();
  });

  it('img with a colour profile: as stored, like its file', async () => {
    expect(await decodeImage(await img(new Blob([fixture('profile.png')])))).toEqual(await decodeImage(fixture('profile.png')));
  });

  it('img with transparency: its colours are kept', async () => {
    expect(await decodeImage(await img(new Blob([fixture('rgba.png')])))).toEqual(await decodeImage(fixture('rgba.png')));
  });

  it('ImageData with transparency', async () => {
    const data = imageData();
    for (let i = 3; i < data.data.length; i += 4) data.data[i] = i % 256;
    expect(await decodeImage(data)).toEqual(picture);
  });

  it('a canvas drawn by WebGL', async () => {
    const { width, height, data } = await decodeImage(webglCanvas());
    expect([width, height, ...data.subarray(0, 3)]).toEqual([8, 4, 255, 0, 51]);
  });

  it('a canvas is read before the call returns', async () => {
    const canvas = drawn(canvasElement());
    const decoding = decodeImage(canvas);
    canvas.getContext('2d')!.clearRect(0, 0, 45, 31);
    expect(await decoding).toEqual(picture);
  });

  it('a picture wider and higher than a tile, with and without transparency', async () => {
    for (const alpha of [true, false]) {
      const large = new ImageData(2500, 2100);
      for (let i = 0; i < large.data.length; i += 4) {
        large.data[i] = i >> 2;
        large.data[i + 1] = i >> 10;
        large.data[i + 2] = i >> 15;
        large.data[i + 3] = alpha && i % 16 === 0 ? 3 : 255;
      }
      const bitmap = await createImageBitmap(large, { premultiplyAlpha: 'none' });
      const read = await decodeImage(bitmap);
      const direct = await decodeImage(large);
      let different = 0;
      for (let i = 0; i < direct.data.length; i++) if (direct.data[i] !== read.data[i]) different++;
      expect([alpha, read.width, read.height, different]).toEqual([alpha, 2500, 2100, 0]);
      bitmap.close();
    }
  });

  it('a recorded video', async () => {
    const canvas = drawn(canvasElement());
    const video = document.createElement('video');
    video.srcObject = canvas.captureStream(10);
    video.muted = true;
    await video.play();
    const { width, height } = await decodeImage(video);
    expect([width, height]).toEqual([45, 31]);
    for (const track of (video.srcObject as MediaStream).getTracks()) track.stop();
  });
});

describe('inputs of a page that cannot be read', () => {
  const refused = (image: unknown, message: string) =>
    expect(decodeImage(image)).rejects.toMatchObject({ code: 'VGG_INPUT', message: expect.stringContaining(message) });

  it('an img that fails to load', async () => refused(await img(new Blob(['text'])), 'received an img that failed to load'));
  it('an img without a source', () => refused(new Image(), 'received an img that failed to load'));
  it('a video without a frame', () => refused(document.createElement('video'), 'received a video without a frame yet'));
  it('an empty canvas', () => refused(new OffscreenCanvas(0, 5), 'received a picture without any'));
  it('a closed ImageBitmap', async () => {
    const bitmap = await createImageBitmap(blob);
    bitmap.close();
    await refused(bitmap, 'received an ImageBitmap that was closed');
  });
  it('an element that is no picture', () => refused(document.createElement('div'), 'received HTMLDivElement'));
  it('a picture over the cap', async () =>
    expect(decodeImage(await createImageBitmap(blob), { maxPixels: 100 })).rejects.toThrow(
      'expected at most 100 pixels, received 45 x 31',
    ));
  it('a canvas that holds a foreign picture', async () => {
    // HTML in an SVG of a blob: URL taints a canvas, without a second server.
    const svg =
      '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><foreignObject width="9" height="9"><p xmlns="http://www.w3.org/1999/xhtml">a</p></foreignObject></svg>';
    const image = await img(new Blob([svg], { type: 'image/svg+xml' }));
    await image.decode();
    const canvas = new OffscreenCanvas(9, 9);
    canvas.getContext('2d')!.drawImage(image, 0, 0);
    await refused(canvas, 'which a page may not read');
    await refused(image, 'which a page may not read');
  });
  it('a URL that is not there', () =>
    expect(decodeImage('/no/such/picture.png', { fetch: async () => new Response(null, { status: 404 }) })).rejects.toMatchObject({
      code: 'VGG_NETWORK',
    }));
});
