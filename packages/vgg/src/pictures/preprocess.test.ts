import { describe, expect, it } from 'vitest';
import pipelines from '../../test/pictures/fixtures/pipelines.json';
import { pattern, sha256 } from '../../test/pictures/fixtures.js';
import { arrange, prepare } from './preprocess.js';
import { PREPROCESSINGS, type Preprocessing, type PreprocessingName, parsePreprocessing } from './preprocessing.js';

const photo = pattern(61, 43);
const custom: Preprocessing = {
  name: 'mine',
  resize: { mode: 'letterbox', size: 64, filter: 'lanczos', fill: 114 },
  crop: 48,
  channelOrder: 'bgr',
  scale: 1 / 255,
  mean: [0.4, -0.1, 0],
  std: [0.2, 1, 3],
};

describe('size rules give the pixels of the reference pipelines', () => {
  const rules: Record<string, Preprocessing> = {
    keras: PREPROCESSINGS.keras,
    torchvision: PREPROCESSINGS.torchvision,
    bicubic: { ...PREPROCESSINGS.torchvision, name: 'bicubic', resize: { mode: 'shorter', size: 256, filter: 'bicubic' } },
  };
  for (const { from, pipeline, sha256: digest } of pipelines.cases)
    it(`${pipeline}, ${from.join('x')}`, async () => {
      const result = arrange(pattern(from[0]!, from[1]!), rules[pipeline]!);
      expect([result.width, result.height, await sha256(result.data)]).toEqual([224, 224, digest]);
    });
});

/** The reference formulae as published, in float64. */
const FORMULAE: Record<PreprocessingName, (rgb: readonly number[]) => number[]> = {
  keras: ([r, g, b]) => [b! - 103.939, g! - 116.779, r! - 123.68],
  caffe: ([r, g, b]) => [b! - 103.939, g! - 116.779, r! - 123.68],
  torchvision: ([r, g, b]) => [(r! / 255 - 0.485) / 0.229, (g! / 255 - 0.456) / 0.224, (b! / 255 - 0.406) / 0.225],
  timm: ([r, g, b]) => [(r! / 255 - 0.485) / 0.229, (g! / 255 - 0.456) / 0.224, (b! / 255 - 0.406) / 0.225],
  matconvnet: ([r, g, b]) => [r! - 123.68, g! - 116.779, b! - 103.939],
  'tf-slim': ([r, g, b]) => [r! - 123.68, g! - 116.779, b! - 103.939],
  frossard: ([r, g, b]) => [r! - 123.68, g! - 116.779, b! - 103.939],
  adain: (rgb) => rgb.map((value) => value / 255),
  tf: (rgb) => rgb.map((value) => value / 127.5 - 1),
  none: (rgb) => [...rgb],
};

describe('values equal the published formulae', () => {
  for (const name of Object.keys(FORMULAE) as PreprocessingName[])
    it(name, () => {
      const pixels = arrange(photo, PREPROCESSINGS[name]);
      const { data, width, height } = prepare(photo, PREPROCESSINGS[name]);
      expect([width, height]).toEqual([pixels.width, pixels.height]);
      expect(data.length).toBe(width * height * 3);
      for (let i = 0; i < data.length; i += 3) {
        const exact = FORMULAE[name]([...pixels.data.subarray(i, i + 3)]);
        // Three float32 roundings of values below 256.
        for (let c = 0; c < 3; c++) if (Math.abs(data[i + c]! - exact[c]!) > 3e-5) expect(data[i + c]).toBeCloseTo(exact[c]!, 5);
      }
    });

  it('steps are rounded as torch rounds them', () => {
    const f = Math.fround;
    const { data } = prepare(
      { width: 1, height: 1, data: Uint8Array.of(201, 17, 90) },
      { ...PREPROCESSINGS.torchvision, resize: { mode: 'none' }, crop: 1 },
    );
    const torch = [201, 17, 90].map((value, c) => f(f(f(value / 255) - f([0.485, 0.456, 0.406][c]!)) / f([0.229, 0.224, 0.225][c]!)));
    expect([...data]).toEqual(torch);
  });
});

describe('sizes', () => {
  it('size squashes with the filter of the pipeline', () => {
    expect(arrange(photo, PREPROCESSINGS.keras, { size: 40 })).toEqual(
      arrange(photo, { ...custom, crop: undefined, resize: { mode: 'squash', size: 40, filter: 'nearest' } }),
    );
    expect(arrange(photo, PREPROCESSINGS.torchvision, { size: 40 })).toEqual(
      arrange(photo, { ...custom, crop: undefined, resize: { mode: 'squash', size: 40, filter: 'bilinear' } }),
    );
    expect(arrange(photo, PREPROCESSINGS.none, { size: 40 })).toEqual(arrange(photo, PREPROCESSINGS.caffe, { size: 40 }));
  });

  it('none keeps any size', () => expect(prepare(pattern(33, 97), PREPROCESSINGS.none)).toMatchObject({ width: 33, height: 97 }));

  it('letterbox pads evenly', () => {
    const { width, height, data } = arrange(photo, { ...custom, crop: undefined });
    expect([width, height]).toEqual([64, 64]);
    const row = (y: number) => [...data.subarray(y * 64 * 3, y * 64 * 3 + 6)];
    expect([row(0), row(8), row(63)]).toEqual([Array(6).fill(114), Array(6).fill(114), Array(6).fill(114)]);
    expect(row(9)).not.toEqual(Array(6).fill(114));
  });

  it('a picture of 31 pixels where 32 are needed says so', () => {
    const options = { minimum: 32, name: 'small.png' };
    expect(() => prepare(pattern(31, 31), PREPROCESSINGS.none, options)).toThrow(
      'prepare: small.png: expected at least 32 x 32 pixels for this network, received 31 x 31; pass size: 32 or more to enlarge it',
    );
    expect(() => prepare(pattern(40, 31), PREPROCESSINGS.none, options)).toThrow('received 40 x 31');
    expect(() => prepare(pattern(40, 40), PREPROCESSINGS.keras, { minimum: 32, size: 31 })).toThrow(
      'received 31 x 31; pass a size of 32 or more',
    );
    expect(prepare(pattern(31, 31), PREPROCESSINGS.none, { ...options, size: 32 })).toMatchObject({ width: 32, height: 32 });
    expect(prepare(pattern(31, 31), PREPROCESSINGS.keras, options)).toMatchObject({ width: 224, height: 224 });
  });

  it('a picture below the crop says so', () => {
    expect(() => prepare(pattern(100, 300), { ...PREPROCESSINGS.none, crop: 224 }, { name: 'a.png' })).toThrow(
      'prepare: a.png: expected at least 224 x 224 pixels to crop from, received 100 x 300; pass size: 224 to enlarge it',
    );
  });

  it.each([0, -3, 1.5, Number.NaN])('refuses size %d', (size) => {
    expect(() => prepare(photo, PREPROCESSINGS.keras, { size })).toThrow('expected a whole number of pixels as size');
  });

  it('a strip that would become enormous is refused', () => {
    expect(() => prepare(pattern(2000, 1), PREPROCESSINGS.torchvision)).toThrow(
      /whole sizes from 1 to 65535 pixels, received 512000 x 256/,
    );
  });
});

describe('parsePreprocessing', () => {
  it.each(Object.keys(PREPROCESSINGS))('%s by name, and through JSON', (name) => {
    const parsed = parsePreprocessing(name);
    expect(parsed).toEqual(PREPROCESSINGS[name as PreprocessingName]);
    expect(parsePreprocessing(JSON.stringify(parsed))).toEqual(parsed);
    expect(parsePreprocessing(JSON.parse(JSON.stringify(parsed)))).toEqual(parsed);
  });

  it("one's own", () => expect(parsePreprocessing(JSON.stringify(custom))).toEqual(custom));
  it('unknown fields are dropped', () => expect(parsePreprocessing({ ...custom, extra: 1 })).toEqual(custom));

  const wrong: [string, unknown, string][] = [
    [
      'an unknown name',
      'kears',
      'expected one of keras, caffe, torchvision, timm, matconvnet, tf-slim, frossard, adain, tf, none, an object or its JSON, received "kears"',
    ],
    ['a name of Object.prototype', 'constructor', 'expected one of keras'],
    ['an array', [], 'expected an object, received []'],
    ['no resize', { ...custom, resize: undefined }, 'expected an object as resize, received nothing'],
    ['an unknown mode', { ...custom, resize: { mode: 'longer' } }, "expected 'squash', 'shorter', 'letterbox' or 'none' as resize.mode"],
    ['an unknown filter', { ...custom, resize: { mode: 'squash', size: 9, filter: 'cubic' } }, 'as resize.filter, received "cubic"'],
    [
      'an enormous size',
      { ...custom, resize: { mode: 'squash', size: 1e9, filter: 'box' } },
      'expected whole pixels from 1 to 16384 as resize.size',
    ],
    ['a crop above the size', { ...custom, crop: 65 }, "expected at most the resize's 64 pixels as crop, received 65"],
    ['a fill of 300', { ...custom, resize: { ...custom.resize, fill: 300 } }, 'from 0 to 255 as resize.fill, received 300'],
    ['a channel order', { ...custom, channelOrder: 'rbg' }, "expected 'rgb' or 'bgr' as channelOrder"],
    ['two means', { ...custom, mean: [1, 2] }, 'expected three numbers, in channelOrder as mean'],
    ['a mean of text', { ...custom, mean: [1, 2, '3'] }, 'expected a number as mean[2], received "3"'],
    ['a deviation of zero', { ...custom, std: [1, 0, 1] }, 'expected a number above 0 as std[1], received 0'],
    ['a scale of NaN', { ...custom, scale: Number.NaN }, 'expected a number as scale'],
    ['no name', { ...custom, name: '' }, 'as name'],
  ];
  for (const [title, value, message] of wrong)
    it(`refuses ${title}`, () => {
      let caught: unknown;
      try {
        parsePreprocessing(value);
      } catch (error) {
        caught = error;
      }
      expect(caught).toMatchObject({ code: 'VGG_OPTION', message: expect.stringContaining(message) });
    });
});
