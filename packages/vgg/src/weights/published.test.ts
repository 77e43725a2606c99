import { describe, expect, it } from 'vitest';
import { io } from '#io';
import { architectureNames, network } from '../network/architecture.js';
import { summarize } from '../network/summary.js';
import { PREPROCESSINGS } from '../pictures/preprocessing.js';
import { findPublished, PUBLISHED_SETS, publishedDefault, publishedSet } from './published.js';

const DIGITS = { md5: 32, sha256: 64, sha384: 96 };

describe('PUBLISHED_SETS', () => {
  it('ids and keys are unique', () => {
    expect(new Set(PUBLISHED_SETS.map((set) => set.id)).size).toBe(PUBLISHED_SETS.length);
    expect(new Set(PUBLISHED_SETS.map((set) => set.key)).size).toBe(PUBLISHED_SETS.length);
  });

  it.each(PUBLISHED_SETS.map((set) => [set.id, set] as const))('%s', (_, set) => {
    expect(set.id).toBe(set.id.toLowerCase());
    expect(set.id.split('.')[0]).toBe(set.architecture);
    expect(set.key.startsWith(set.id)).toBe(true);
    expect(architectureNames()).toContain(set.architecture);
    if (!set.embedded) expect(PREPROCESSINGS).toHaveProperty(set.preprocessing!);
    expect(set.licence && set.source).toBeTruthy();
    const digits = DIGITS[set.hash!.algorithm];
    expect(set.hash!.value).toMatch(set.hash!.value.length === 8 ? /^[0-9a-f]{8}$/ : new RegExp(`^[0-9a-f]{${digits}}$`));
    for (const url of set.urls) expect(new URL(url).href).toBe(url);
    // Only where the whole hash is known may the bytes come over plain http.
    if (set.urls.some((url) => url.startsWith('http:'))) expect(set.hash!.value).toHaveLength(digits);
    // A file is its weights as float32 and little else; the int8 one a quarter of that, the one inside the package half.
    const { parameterBytes } = summarize(network(set.architecture, { top: set.top }));
    const size = (set.bytes ?? set.about!) * (set.id.includes('int8') ? 4 : set.embedded ? 2 : 1);
    expect(size / parameterBytes).toBeGreaterThan(0.998);
    expect(size / parameterBytes).toBeLessThan(set.embedded ? 1.01 : 1.002);
  });
});

describe('names', () => {
  it('a set by its id', () => {
    expect(findPublished('VGG16.Keras_IN1K')?.bytes).toBe(553_467_096);
    expect(findPublished('weights/vgg16.h5')).toBeUndefined();
    expect(() => publishedSet('vgg16.keras_in1')).toThrow(
      expect.objectContaining({ code: 'VGG_NOT_FOUND', message: expect.stringContaining('did you mean "vgg16.keras_in1k"?') }),
    );
  });

  it.each([
    ['vgg16', 'node', false, 'vgg16.keras_in1k_notop'],
    ['D', 'node', true, 'vgg16.keras_in1k'],
    ['vgg19', 'node', false, 'vgg19.keras_in1k_notop'],
    ['vgg16', 'web', false, 'vgg16.timm_tv_in1k'],
    ['vgg16', 'web', true, 'vgg16.timm_tv_in1k'],
    ['D+BN', 'node', false, 'vgg16_bn.timm_tv_in1k'],
    ['vgg11', 'node', true, 'vgg11.timm_tv_in1k'],
    ['vgg13', 'node', true, 'vgg13.torchvision_in1k'],
    ['B+BN', 'node', false, 'vgg13_bn.timm_tv_in1k'],
    ['vgg13', 'web', true, undefined],
    ['vgg16c', 'node', true, undefined],
    ['cifar_vgg16_bn', 'node', true, undefined],
    ['compact', 'node', true, 'compact.cifar10'],
    ['compact', 'web', false, 'compact.cifar10'],
    [undefined, 'node', true, undefined],
  ] as const)('%s in %s, top %s: %s', (arch, platform, top, id) => {
    expect(publishedDefault(arch, { platform, top })?.id).toBe(id);
  });

  it.each([
    ['vgg16.keras', 'vgg16.keras_in1k'],
    ['vgg19.keras_notop', 'vgg19.keras_in1k_notop'],
    ['VGG16.Oxford', 'vgg16.oxford_in1k'],
    ['vgg19.oxford', 'vgg19.oxford_in1k'],
    ['vgg16_bn.torchvision', 'vgg16_bn.torchvision_in1k'],
    ['vgg16.timm', 'vgg16.timm_tv_in1k'],
    ['vgg16.tv_in1k', 'vgg16.timm_tv_in1k'],
    ['vgg16.onnx_12', 'vgg16.onnx_12_in1k'],
  ])('%s is %s', (name, id) => {
    expect(findPublished(name)?.id).toBe(id);
  });

  it('no name means two sets; an architecture alone is none, but has one', () => {
    const names = PUBLISHED_SETS.flatMap(({ id, aliases = [] }) => [...new Set([id, id.replace('_in1k', ''), ...aliases])]);
    expect(new Set(names).size).toBe(names.length);
    expect(findPublished('vgg16')).toBeUndefined();
    expect(publishedSet('vgg16').id).toBe('vgg16.keras_in1k');
    expect(publishedSet('vgg11_bn').id).toBe('vgg11_bn.torchvision_in1k');
  });

  it('the Oxford sets want BGR and pools that round up, and no other may come without their whole hash', () => {
    for (const name of ['vgg16.oxford', 'vgg19.oxford']) {
      const { preprocessing, rounding, hash } = publishedSet(name);
      expect(rounding).toBe('ceil');
      expect(PREPROCESSINGS[preprocessing!]).toMatchObject({
        channelOrder: 'bgr',
        mean: [103.939, 116.779, 123.68],
        scale: 1,
        std: [1, 1, 1],
      });
      expect(hash!.value).toHaveLength(DIGITS[hash!.algorithm]);
    }
  });
});

describe('hashes of this platform', () => {
  // RFC 1321, appendix A.5; FIPS 180-4's examples.
  it.each([
    ['md5', '900150983cd24fb0d6963f7d28e17f72'],
    ['sha256', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    ['sha384', 'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7'],
  ] as const)('%s of "abc"', (algorithm, digest) => {
    const running = io.hash(algorithm);
    for (const letter of 'abc') running.update(new TextEncoder().encode(letter));
    expect(running.digest()).toBe(digest);
  });

  // python3 -c "import hashlib; print(hashlib.new('md5', bytes(i * 31 % 256 for i in range(300001))).hexdigest())"
  it.each([
    ['md5', 'ceb3ab9953a01c2fb07496d1b37be4eb'],
    ['sha256', '1c9853c3949bc74ce332367493caf228aef30c1dd9e8bef35d59deddda9601f0'],
    ['sha384', '0c136e8a250c2d6aa9152bc59fffa66ba8e96e4f895ca284f34174603c9d1eea575d9231c4007f1452e61560f5569475'],
  ] as const)('%s in pieces of any size', (algorithm, digest) => {
    const bytes = Uint8Array.from({ length: 300_001 }, (_, index) => index * 31);
    const running = io.hash(algorithm);
    for (let at = 0, step = 1; at < bytes.length; at += step++) running.update(bytes.subarray(at, Math.min(at + step, bytes.length)));
    expect(running.digest()).toBe(digest);
  });
});
