import { VggError } from '@vgg/errors';
import { describe, expect, it } from 'vitest';
import { type Decode, type ImageInput, type ImageInputs, isOneImage, type PictureItem, toPictures } from './images.js';
import type { Picture } from './picture.js';

const dot = (value: number): Picture => ({ width: 1, height: 1, data: new Uint8Array(3).fill(value) });
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Decodes the text '7' to a dot of value 7, after a while that differs from one to the next; 'bad' fails. */
const decode: Decode = async (image) => {
  if (image === 'bad') throw new VggError('VGG_INPUT', 'decode: bad: no picture');
  await wait(Number(image) % 3);
  return dot(Number(image));
};

async function all(inputs: ImageInputs, options?: Parameters<typeof toPictures>[2], how: Decode = decode): Promise<PictureItem[]> {
  const items = [];
  for await (const item of toPictures(inputs, how, options)) items.push(item);
  return items;
}
const values = (items: PictureItem[]) => items.map(({ picture }) => picture?.data[0]);

async function* slowly(inputs: readonly string[]): AsyncGenerator<string> {
  for (const input of inputs) {
    await wait(1);
    yield input;
  }
}

describe('toPictures', () => {
  const texts = Array.from({ length: 20 }, (_, i) => String(i));
  const numbers = texts.map(Number);

  it('one picture', async () => expect(await all('5')).toEqual([{ index: 0, name: '5', picture: dot(5) }]));
  it('an array, in order', async () => expect(values(await all(texts))).toEqual(numbers));
  it('an array of promises', async () =>
    expect(values(await all(texts.map((text) => Promise.resolve(text)) as unknown as string[]))).toEqual(numbers));
  it('a set', async () => expect(values(await all(new Set(texts)))).toEqual(numbers));
  it('an async generator', async () => expect(values(await all(slowly(texts)))).toEqual(numbers));
  it('nothing', async () => expect(await all([])).toEqual([]));

  it('a batch tensor is several pictures, read once', async () => {
    let reads = 0;
    const data = Float32Array.from({ length: 2 * 1 * 2 * 3 }, (_, i) => i);
    const tensor = { shape: [2, 1, 2, 3], dtype: 'float32', data: () => Promise.resolve(data) };
    const read = tensor.data;
    tensor.data = () => {
      reads++;
      return read();
    };
    const items = await all(tensor);
    expect(items.map(({ name, picture }) => [name, picture?.width, picture?.height, ...picture!.data])).toEqual([
      ['picture 0', 2, 1, 0, 1, 2, 3, 4, 5],
      ['picture 1', 2, 1, 6, 7, 8, 9, 10, 11],
    ]);
    expect(reads).toBe(1);
  });

  it('a failure belongs to its picture', async () => {
    const items = await all(['1', 'bad', '2']);
    expect(values(items)).toEqual([1, undefined, 2]);
    expect(items[1]).toMatchObject({ index: 1, name: 'bad', error: { code: 'VGG_INPUT', message: 'decode: bad: no picture' } });
  });

  it('a failure of any kind becomes a VggError', async () => {
    const [item] = await all('x', {}, () => Promise.reject(new TypeError('odd')));
    expect(item?.error).toMatchObject({ name: 'VggError', code: 'VGG_INPUT', message: 'decode: x: odd' });
  });

  it('names: a URL, a file, an element, a number for the rest', async () => {
    const inputs = [new URL('http://a.org/b.png'), new File(['x'], 'c.png'), { currentSrc: 'd.png' }, new Uint8Array(1)] as ImageInput[];
    expect((await all(inputs, {}, async () => dot(0))).map(({ name }) => name)).toEqual([
      'http://a.org/b.png',
      'c.png',
      'd.png',
      'picture 3',
    ]);
  });

  it('back-pressure: never more than ahead + 1 in hand, over 10,000 pictures', async () => {
    let made = 0;
    let taken = 0;
    let most = 0;
    function* endless() {
      for (; made < 10_000; ) {
        made++;
        yield String(made % 7);
      }
    }
    for await (const item of toPictures(endless(), async (image) => dot(Number(image)), { ahead: 3 })) {
      expect(item.index).toBe(taken++);
      most = Math.max(most, made - taken);
    }
    expect(taken).toBe(10_000);
    expect(most).toBeLessThanOrEqual(3);
  });

  it('decodes several at a time', async () => {
    let running = 0;
    let most = 0;
    const counted: Decode = async () => {
      most = Math.max(most, ++running);
      await wait(2);
      running--;
      return dot(0);
    };
    await all(texts, { ahead: 3 }, counted);
    expect(most).toBe(3);
  });

  it('gives a picture although the next one is long in coming', async () => {
    async function* live() {
      yield '1';
      await new Promise(() => {});
    }
    for await (const { picture } of toPictures(live(), decode)) {
      expect(picture?.data[0]).toBe(1);
      break;
    }
  });

  it('reads what can be redrawn before asking for more', async () => {
    const canvas = { value: 0 };
    function* redrawn() {
      for (canvas.value = 1; canvas.value <= 5; canvas.value++) yield canvas as unknown as ImageInput;
    }
    const items = await all(redrawn(), {}, (image) => {
      const now = dot((image as typeof canvas).value);
      return wait(2).then(() => now);
    });
    expect(values(items)).toEqual([1, 2, 3, 4, 5]);
  });

  it('what the source throws comes after the pictures before it', async () => {
    function* broken() {
      yield '1';
      yield '2';
      throw new Error('disk');
    }
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const { picture } of toPictures(broken(), decode)) seen.push(picture?.data[0]);
    })();
    await expect(reading).rejects.toThrow('disk');
    expect(seen).toEqual([1, 2]);
  });

  it('stopping early ends the source and what is being decoded', async () => {
    let ended = false;
    const signals: (AbortSignal | undefined)[] = [];
    function* source() {
      try {
        for (;;) yield '1';
      } finally {
        ended = true;
      }
    }
    const counted: Decode = async (_, { signal }) => {
      signals.push(signal);
      await wait(1);
      return dot(1);
    };
    for await (const _ of toPictures(source(), counted)) break;
    await wait(5);
    expect(ended).toBe(true);
    expect(signals.every((signal) => signal?.aborted)).toBe(true);
  });

  it('abort ends it at once, also while a decoder or the source hangs', async () => {
    const hangs = () => new Promise<never>(() => {});
    for (const [inputs, how] of [
      [['1'], hangs],
      [{ [Symbol.asyncIterator]: () => ({ next: hangs }) }, decode],
    ] as [ImageInputs, Decode][]) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 10);
      await expect(all(inputs, { signal: controller.signal }, how)).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    }
    await expect(all(['1'], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  });

  it('refuses ahead: 0', () => expect(all([], { ahead: 0 })).rejects.toMatchObject({ code: 'VGG_OPTION' }));
});

describe('isOneImage', () => {
  const tensor = (shape: number[]) => ({ shape, dtype: 'int32', data: async () => [] });
  it.each([
    ['a path', 'a.png', true],
    ['bytes', new Uint8Array(3), true],
    ['a stream', new ReadableStream(), true],
    ['a tensor of three axes', tensor([2, 2, 3]), true],
    ['a batch of one', tensor([1, 2, 2, 3]), true],
    ['a batch', tensor([2, 2, 2, 3]), false],
    ['an array of one', ['a.png'], false],
    ['a generator', slowly([]), false],
  ])('%s', (_, value, one) => expect(isOneImage(value)).toBe(one));
});
