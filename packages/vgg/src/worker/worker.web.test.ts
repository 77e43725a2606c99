// The engine in a Web Worker: the same answers as in the page, for every kind of picture.
import { maximumDifference } from '@vgg/core/reference';
import { TOLERANCE } from '@vgg/core/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noise, SMALL_PLAN, smallFile } from '../../test/small-weights.js';
import { type ImageInput, isVggError, load, loadHead, type Model, type Progress, trainHead } from '../index.js';

const SIDE = 48;
const LAYER = 'relu3_2';
const start = () => new Worker(new URL('./entry.ts', import.meta.url), { type: 'module' });

let bytes: Uint8Array;
let here: Model;
let there: Model;
beforeAll(async () => {
  bytes = await smallFile();
  // Plain JavaScript: two loads on wasm may measure otherwise, take other builds of the kernels, and differ in the last digits.
  here = await load(undefined, { weights: bytes, preprocessing: 'none', backend: 'cpu' });
  there = await load(undefined, { weights: bytes, preprocessing: 'none', backend: 'cpu', worker: start });
});
afterAll(() => {
  here.dispose();
  there.dispose();
});

function pixels(seed = 11, alpha = false): ImageData {
  const next = noise(seed);
  const values = { length: SIDE * SIDE * 4 };
  return new ImageData(
    Uint8ClampedArray.from(values, (_, i) => (i % 4 === 3 && !alpha ? 255 : Math.floor(127.5 + 127.5 * next()))),
    SIDE,
  );
}

/** One colour. */
const flat = (value: number) => new ImageData(new Uint8ClampedArray(SIDE * SIDE * 4).fill(value), SIDE);

function offscreen(seed?: number): OffscreenCanvas {
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  canvas.getContext('2d')!.putImageData(pixels(seed), 0, 0);
  return canvas;
}

const png = (seed?: number) => offscreen(seed).convertToBlob({ type: 'image/png' });

test('a model in a worker says what the same model says in the page', async () => {
  // Bytes that were sent are still the caller's.
  expect(bytes.byteLength).toBeGreaterThan(0);
  for (const part of ['network', 'preprocessing', 'weights', 'weightsName', 'deepest'] as const) expect(there[part]).toEqual(here[part]);
  expect(there.backend).toEqual(here.backend);
  expect(there.placement()).toEqual(here.placement());
  expect(there.resolve('block2_conv1')).toBe('relu2_1');
  expect(await there.fingerprint('pool3')).toBe(await here.fingerprint('pool3'));
  expect(await there.classNames()).toEqual(await here.classNames());
  await there.ready('pool2');
});

describe('pictures', () => {
  /** Every kind of picture that a page has, made anew. */
  const kinds: Record<string, () => ImageInput | Promise<ImageInput>> = {
    'img that is still loading': async () => {
      const made = new Image();
      made.src = URL.createObjectURL(await png());
      return made;
    },
    canvas: () => {
      const made = document.createElement('canvas');
      [made.width, made.height] = [SIDE, SIDE];
      made.getContext('2d')!.putImageData(pixels(), 0, 0);
      return made;
    },
    OffscreenCanvas: () => offscreen(),
    ImageData: () => pixels(),
    'ImageData with alpha': () => pixels(5, true),
    ImageBitmap: () => createImageBitmap(pixels()),
    'ImageBitmap with alpha': () => createImageBitmap(pixels(5, true), { premultiplyAlpha: 'none' }),
    VideoFrame: () => new VideoFrame(offscreen(), { timestamp: 0 }),
    Blob: () => png(),
    File: async () => new File([await png()], 'noise.png'),
    'JPEG File': async () => new File([await offscreen().convertToBlob({ type: 'image/jpeg' })], 'noise.jpg'),
    'blob: URL': async () => URL.createObjectURL(await png()),
    'data: URL': async () => `data:image/png;base64,${btoa(String.fromCharCode(...new Uint8Array(await (await png()).arrayBuffer())))}`,
    ArrayBuffer: async () => (await png()).arrayBuffer(),
    'part of a buffer': async () => {
      const whole = new Uint8Array(await new Blob([new Uint8Array(10), await png(), new Uint8Array(10)]).arrayBuffer());
      return whole.subarray(10, whole.length - 10);
    },
    ReadableStream: async () => (await png()).stream(),
    'grey pixels': () => ({ data: Uint8Array.from({ length: 64 * 40 }, (_, i) => i % 251), width: 64, height: 40 }),
    tensor: () => ({ shape: [40, 40, 3], dtype: 'int32', data: async () => Int32Array.from({ length: 4800 }, (_, i) => i % 256) }),
  };

  test.each(Object.entries(kinds))('%s: the same bits as in the page', async (_, make) => {
    const picture = await make();
    const again = picture instanceof ReadableStream ? ((await make()) as ImageInput) : picture;
    const expected = await here.extract(picture, LAYER);
    const received = await there.extract(again, LAYER);
    expect(received).toEqual(expected);
    expect(Math.max(...received.data)).toBeGreaterThan(0);
  });

  test('what the caller gave stays its own', async () => {
    const frame = new VideoFrame(offscreen(), { timestamp: 0 });
    const bitmap = await createImageBitmap(pixels());
    const raw = { data: new Uint8Array(SIDE * SIDE * 3), width: SIDE, height: SIDE };
    const encoded = new Uint8Array(await (await png()).arrayBuffer());
    await there.extract([frame, bitmap, raw, encoded], LAYER);
    expect([frame.codedWidth, bitmap.width, raw.data.length]).toEqual([SIDE, SIDE, SIDE * SIDE * 3]);
    expect(encoded.length).toBeGreaterThan(0);
    frame.close();
    bitmap.close();
  });

  test('a canvas that is drawn over is read before the next picture is asked for', async () => {
    const canvas = offscreen(1);
    async function* drawn() {
      for (const seed of [1, 2, 3]) {
        canvas.getContext('2d')!.putImageData(pixels(seed), 0, 0);
        yield canvas;
      }
    }
    const expected = await here.extract([pixels(1), pixels(2), pixels(3)], LAYER);
    expect(await there.extract(drawn(), LAYER)).toEqual(expected);
  });

  test("relative URLs are the page's, and keep their name", async () => {
    const url = 'packages/vgg/test/pictures/none.png';
    const [item] = await collect(there.extractAll([url], [LAYER]));
    expect(item).toMatchObject({ name: url, error: { code: expect.stringMatching(/^VGG_(NETWORK|INPUT)$/) } });
    const [expected] = await collect(here.extractAll([url], [LAYER]));
    expect((item as { error: Error }).error.message).toBe((expected as { error: Error }).error.message);
  });
});

test('classes, vectors, several layers, a batch tensor: as in the page', async () => {
  const list = [pixels(1), pixels(2), await png(3)];
  expect(await there.classify(list[0], { top: 2, size: 32 })).toEqual(await here.classify(list[0], { top: 2, size: 32 }));
  expect(await there.classify(list, { size: 32 })).toEqual(await here.classify(list, { size: 32 }));
  expect(await there.embed(list[0])).toEqual(await here.embed(list[0]));
  expect(await there.embed(list, { layer: 'pool2', normalize: true })).toEqual(await here.embed(list, { layer: 'pool2', normalize: true }));
  // Two taps on the same values: a flatten is its pool.
  const taps = ['relu1_1', 'pool3', 'flatten', 'prob'].filter((tap) => here.network.layers.some(({ name }) => name === tap));
  expect(await there.extract(list[0], taps, { size: 32 })).toEqual(await here.extract(list[0], taps, { size: 32 }));
  const batch = { shape: [2, 32, 32, 3], dtype: 'int32', data: async () => Int32Array.from({ length: 6144 }, (_, i) => (i * 7) % 256) };
  expect(await there.extract(batch, LAYER)).toEqual(await here.extract(batch, LAYER));
});

/** A safetensors file whose header calls a tensor by a name that nobody knows. */
async function withoutTensor(file: Uint8Array, name: string): Promise<Uint8Array> {
  const text = new TextDecoder('latin1').decode(file);
  const at = text.indexOf(`"${name}"`);
  expect(at).toBeGreaterThan(0);
  const copy = file.slice();
  copy[at + 1] = 'x'.charCodeAt(0);
  return copy;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

test('picture by picture: order, names, progress, and a failure in its place', async () => {
  const files = [new File([await png(1)], 'a.png'), new File(['no picture'], 'b.txt'), pixels(2)];
  const run = async (model: Model) => {
    const told: Progress[] = [];
    const items = await collect(model.extractAll(files, [LAYER], { onProgress: (progress) => told.push(progress) }));
    return { items, told: told.filter(({ stage }) => stage === 'extract') };
  };
  const [expected, received] = [await run(here), await run(there)];
  expect(received).toEqual(expected);
  expect(received.told.map(({ loaded, total }) => [loaded, total])).toEqual([1, 2, 3].map((loaded) => [loaded, 3]));
  const failure = received.items[1] as { error: Error };
  expect(isVggError(failure.error, 'VGG_INPUT')).toBe(true);
  expect(await collect(there.classifyAll(files, { size: 32 }))).toEqual(await collect(here.classifyAll(files, { size: 32 })));
});

test('pictures are asked for only as their features are taken', async () => {
  let asked = 0;
  let closed = false;
  function* endless() {
    try {
      for (;;) {
        asked++;
        yield pixels(asked);
      }
    } finally {
      closed = true;
    }
  }
  for await (const item of there.extractAll(endless(), [LAYER])) if (item.index === 2) break;
  expect(asked).toBeLessThan(50);
  await expect.poll(() => closed).toBe(true);
});

test('what an iterable of the caller throws is thrown as it is', async () => {
  const own = new RangeError('out of pictures');
  async function* broken() {
    yield pixels();
    throw own;
  }
  await expect(there.extract(broken(), LAYER)).rejects.toBe(own);
});

test('errors keep their code and sentence', async () => {
  const sentence = async (work: (model: Model) => Promise<unknown>) => {
    const errors = await Promise.all([here, there].map((model) => work(model).catch((error: unknown) => error)));
    const [expected, received] = errors as [Error & { code: string }, Error & { code: string }];
    expect(isVggError(received)).toBe(true);
    expect([received.code, received.message]).toEqual([expected.code, expected.message]);
    return received.code;
  };
  expect(await sentence((model) => model.extract(pixels(), 'conv9_9'))).toBe('VGG_LAYER');
  expect(await sentence((model) => model.extract(42 as unknown as string, LAYER))).toBe('VGG_INPUT');
  expect(await sentence((model) => model.extract([], LAYER))).toBe('VGG_INPUT');
  expect(await sentence((model) => model.extract([pixels(), new ImageData(64, 64)], LAYER))).toBe('VGG_SHAPE');
  expect(await sentence((model) => model.extract(new Blob(['GIF89a']), LAYER))).toBe('VGG_INPUT');
});

test('what takes or gives tensors is refused with a sentence', () => {
  for (const call of [() => there.activations(undefined as never, []), () => there.run(() => 1), () => there.normalize(undefined as never)])
    expect(call).toThrow(expect.objectContaining({ code: 'VGG_OPTION', message: expect.stringContaining('without worker') }));
});

test('a head is trained, saved and loaded on a model in a worker', async () => {
  const photos = { light: [1, 2, 3, 4].map((seed) => pixels(seed)), dark: [0, 9, 17].map(flat) };
  const options = { layer: 'relu2_1', size: 32, l2: 0.01 };
  const [expected, head] = [await trainHead(here, photos, options), await trainHead(there, photos, options)];
  expect(await head.toBytes()).toEqual(await expected.toBytes());
  expect(await head.predict(pixels(5))).toEqual(await expected.predict(pixels(5)));
  const loaded = await loadHead(await head.toBytes(), there);
  expect(await loaded.predict([pixels(5)])).toEqual(await expected.predict([pixels(5)]));
});

describe('abort', () => {
  test('of a call, of a stream, and before it begins', async () => {
    const reason = new Error('changed my mind');
    const aborted = new AbortController();
    aborted.abort(reason);
    await expect(there.extract(pixels(), LAYER, { signal: aborted.signal })).rejects.toMatchObject({ code: 'VGG_ABORTED', cause: reason });
    await expect(load(undefined, { weights: bytes, worker: start, signal: aborted.signal })).rejects.toMatchObject({ code: 'VGG_ABORTED' });

    const controller = new AbortController();
    const seen: number[] = [];
    let asked = 0;
    function* endless() {
      for (;;) {
        asked++;
        yield pixels(asked);
      }
    }
    const run = async () => {
      for await (const { index } of there.embedAll(endless(), { signal: controller.signal })) {
        seen.push(index);
        if (index === 3) controller.abort(reason);
      }
    };
    await expect(run()).rejects.toMatchObject({ code: 'VGG_ABORTED', cause: reason });
    expect(seen).toEqual([0, 1, 2, 3]);
    // The worker has stopped too, and goes on with other calls.
    expect(await there.extract(pixels(), LAYER)).toEqual(await here.extract(pixels(), LAYER));
    const settled = asked;
    await there.extract(pixels(), LAYER);
    expect(asked).toBe(settled);
  });
});

test('on wasm, with the threads of an isolated page', async () => {
  const options = { weights: bytes, preprocessing: 'none', backend: 'wasm', threads: 2 } as const;
  const [expected, received] = [await load(undefined, options), await load(undefined, { ...options, worker: start })];
  const { name, simd, threads, sharedMemory, kernels } = expected.backend;
  expect(received.backend).toMatchObject({ name, simd, threads, sharedMemory });
  expect(threads).toBe(2);
  const [a, b] = [await expected.extract(pixels(), LAYER), await received.extract(pixels(), LAYER)];
  expect(maximumDifference(b.data, a.data)).toBeLessThan(TOLERANCE);
  if (received.backend.kernels === kernels) expect(b).toEqual(a);
  for (const model of [expected, received]) model.dispose();
});

test('two models, each in a worker of its own', async () => {
  const plan = { ...SMALL_PLAN, name: 'other', blocks: [[4], [6], [10]] };
  const [one, two] = await Promise.all([
    load(undefined, { weights: new Blob([bytes as Uint8Array<ArrayBuffer>]), backend: 'cpu', worker: start }),
    load(undefined, { weights: await smallFile(plan), backend: 'wasm', worker: start }),
  ]);
  expect([one.network.name, two.network.name]).toEqual(['small', 'other']);
  const [a, b] = await Promise.all([one.extract(pixels(), 'pool3', { size: 32 }), two.extract(pixels(), 'pool3', { size: 32 })]);
  expect([a.shape, b.shape]).toEqual([
    [1, 4, 4, 16],
    [1, 4, 4, 10],
  ]);
  expect(one.backend.name).toBe('cpu');
  one.dispose();
  expect((await two.extract(pixels(), 'pool3', { size: 32 })).data).toEqual(b.data);
  two.dispose();
});

test('dispose ends the worker, and what it was doing', async () => {
  let worker: Worker | undefined;
  const model = await load(undefined, { weights: bytes, preprocessing: 'none', backend: 'wasm', worker: () => (worker = start()) });
  let answers = 0;
  worker!.addEventListener('message', () => answers++);
  const running = model.extract(pixels(), LAYER);
  model.dispose();
  await expect(running).rejects.toMatchObject({ code: 'VGG_OPTION', message: expect.stringContaining('disposed of') });
  await expect(model.extract(pixels(), LAYER)).rejects.toMatchObject({ code: 'VGG_OPTION' });
  const before = answers;
  worker!.postMessage({ type: 'call', id: 99, method: 'classNames', args: [], options: {} });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(answers).toBe(before);
});

describe('load', () => {
  test('progress and warnings come to the page', async () => {
    const told: Progress[] = [];
    const warnings: string[] = [];
    const weights = await smallFile(SMALL_PLAN, { 'vgg.classes': JSON.stringify(['only', 'two']) });
    const options = { weights, backend: 'wasm', layers: 'pool3' } as const;
    const model = await load(undefined, { ...options, worker: start, onProgress: (p) => told.push(p), onWarning: (w) => warnings.push(w) });
    model.dispose();
    const [expectedTold, expectedWarnings]: [Progress[], string[]] = [[], []];
    const other = await load(undefined, {
      ...options,
      onProgress: (p) => expectedTold.push(p),
      onWarning: (w) => expectedWarnings.push(w),
    });
    other.dispose();
    expect(told).toEqual(expectedTold);
    expect(told.at(-1)).toMatchObject({ stage: 'read', item: 'conv3_2' });
    expect(warnings).toEqual(expectedWarnings);
    expect(warnings).toHaveLength(1);
  });

  test('a hole in the weights is known in the page', async () => {
    const weights = await withoutTensor(bytes, 'conv2_1.weight');
    const options = { weights, backend: 'cpu' } as const;
    const [expected, received] = [await load(undefined, options), await load(undefined, { ...options, worker: start })];
    const missing = (model: Model) => model.network.layers.map(({ name }) => model.missing(name));
    expect(missing(received)).toEqual(missing(expected));
    expect(received.missing('pool3')).toEqual(['conv2_1.weight']);
    expect(received.deepest).toBe('pool1');
    await expect(received.extract(pixels(), 'pool3')).rejects.toMatchObject({ code: 'VGG_WEIGHTS_MISSING' });
    for (const model of [expected, received]) model.dispose();
  });

  test.each([
    ['weights that are none', { weights: new Blob(['no weights']) }, 'VGG_FORMAT'],
    ['an address without a file', { weights: 'no/such/file.safetensors' }, undefined],
    ['a network that there is not', { weights: new Blob(['x']), backend: 'gpu' as never }, 'VGG_OPTION'],
    ["a fetch of one's own", { fetch: globalThis.fetch.bind(globalThis) }, 'VGG_OPTION'],
    [
      "a source of one's own",
      { weights: { name: 'own', size: 3, remote: false, read: async () => new Uint8Array(3) } as never },
      'VGG_OPTION',
    ],
  ])('%s: the error of the page', async (_, options, code) => {
    const error = await load('vgg16', { ...options, worker: start }).catch((failure: unknown) => failure);
    expect(isVggError(error)).toBe(true);
    if (code) expect(error).toMatchObject({ code });
    if (code !== 'VGG_OPTION' || 'backend' in options) {
      const expected = (await load('vgg16', options).catch((failure: unknown) => failure)) as Error;
      expect((error as Error).message).toBe(expected.message);
    }
  });

  test('true needs the ready-made bundle; a script that is none, or of another version, is said to be so', async () => {
    await expect(load(undefined, { weights: bytes, worker: true })).rejects.toMatchObject({
      code: 'VGG_OPTION',
      message: expect.stringContaining("new URL('./engine.js', import.meta.url)"),
    });
    const script = (text: string) => () => new Worker(URL.createObjectURL(new Blob([text])));
    await expect(load(undefined, { weights: bytes, worker: script('throw new Error("broken")') })).rejects.toMatchObject({
      code: 'VGG_BACKEND',
      message: expect.stringContaining('broken'),
    });
    const old = script('postMessage({ type: "ready", version: "0.0.1" })');
    await expect(load(undefined, { weights: bytes, worker: old })).rejects.toMatchObject({
      code: 'VGG_OPTION',
      message: expect.stringContaining('received one of 0.0.1'),
    });
  });
});
