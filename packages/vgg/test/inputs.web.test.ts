// The same picture gives the same features whatever form a page has it in.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ImageInput, load, type Model } from '../src/index.js';
import { noise, smallFile } from './small-weights.js';

const SIDE = 48;
const LAYER = 'relu3_2';

let model: Model;
let pixels: ImageData;
let png: Blob;
let expected: Float32Array;

beforeAll(async () => {
  model = await load(undefined, { weights: await smallFile(), preprocessing: 'none', backend: 'wasm' });
  const next = noise(11);
  pixels = new ImageData(
    Uint8ClampedArray.from({ length: SIDE * SIDE * 4 }, (_, i) => (i % 4 === 3 ? 255 : Math.floor(127.5 + 127.5 * next()))),
    SIDE,
  );
  png = await offscreen().convertToBlob({ type: 'image/png' });
  expected = (await model.extract({ data: new Uint8Array(pixels.data.buffer), width: SIDE, height: SIDE, channels: 4 }, LAYER)).data;
  expect(Math.max(...expected)).toBeGreaterThan(0);
});
afterAll(() => model.dispose());

function offscreen(): OffscreenCanvas {
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  canvas.getContext('2d')!.putImageData(pixels, 0, 0);
  return canvas;
}

function canvas(): HTMLCanvasElement {
  const made = document.createElement('canvas');
  [made.width, made.height] = [SIDE, SIDE];
  made.getContext('2d')!.putImageData(pixels, 0, 0);
  return made;
}

async function image(): Promise<HTMLImageElement> {
  const made = new Image();
  made.src = URL.createObjectURL(png);
  await made.decode();
  return made;
}

/** Every kind of picture that a page has, made anew. */
const kinds: Record<string, () => ImageInput | Promise<ImageInput>> = {
  img: image,
  'img that is still loading': () => {
    const made = new Image();
    made.src = URL.createObjectURL(png);
    return made;
  },
  canvas,
  OffscreenCanvas: offscreen,
  ImageData: () => pixels,
  ImageBitmap: () => createImageBitmap(pixels),
  VideoFrame: () => new VideoFrame(offscreen(), { timestamp: 0 }),
  Blob: () => png,
  File: () => new File([png], 'noise.png'),
  'blob: URL': () => URL.createObjectURL(png),
  'data: URL': () => canvas().toDataURL(),
  ArrayBuffer: () => png.arrayBuffer(),
  Uint8Array: async () => new Uint8Array(await png.arrayBuffer()),
  ReadableStream: () => png.stream(),
};

test.each(Object.entries(kinds))('extract from %s', async (_, make) => {
  const { data, shape } = await model.extract(await make(), LAYER);
  expect(shape).toEqual([1, 12, 12, 16]);
  expect(data).toEqual(expected);
});

test('frames and bitmaps of the caller stay open', async () => {
  const frame = new VideoFrame(offscreen(), { timestamp: 0 });
  const bitmap = await createImageBitmap(pixels);
  await model.extract([frame, bitmap], LAYER);
  expect([frame.codedWidth, bitmap.width]).toEqual([SIDE, SIDE]);
  frame.close();
  bitmap.close();
});

test('a mixed list keeps its order', async () => {
  const dark = new ImageData(SIDE, SIDE);
  const maps = await model.extract([png, dark, await image(), canvas()], LAYER);
  const size = expected.length;
  const part = (i: number) => maps.data.subarray(i * size, (i + 1) * size);
  for (const i of [0, 2, 3]) expect(part(i)).toEqual(expected);
  expect(part(1)).not.toEqual(expected);
});
