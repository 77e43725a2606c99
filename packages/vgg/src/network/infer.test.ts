import { describe, expect, it } from 'vitest';
import { weightSpecs } from '../weights/specs.js';
import { network } from './architecture.js';
import { inferNetwork, type WeightShapes } from './infer.js';
import type { Network } from './plan.js';

/** What a file of this network would show. */
function shapesOf(net: Network): WeightShapes {
  const specs = weightSpecs(net);
  const convs = specs.filter((spec) => spec.kind === 'conv').map(({ shape }) => ({ kernel: shape[0]!, in: shape[2]!, out: shape[3]! }));
  const denses = specs.filter((spec) => spec.kind === 'dense').map(({ shape }) => ({ in: shape[0]!, out: shape[1]! }));
  return { convs, denses, batchNorm: net.batchNorm };
}

const convsOf = (net: Network, count: number): WeightShapes => ({
  ...shapesOf(net),
  convs: shapesOf(net).convs.slice(0, count),
  denses: [],
});

describe('inferNetwork', () => {
  it.each(['vgg11', 'vgg13', 'vgg16c', 'vgg16', 'vgg19', 'vgg11_bn', 'vgg16c_bn', 'vgg19_bn'])('%s from its shapes', (name) => {
    for (const options of [{}, { top: false }, { classes: 10 }, { size: 64 }, { dense: [256] }, { dense: [], size: 32 }, { channels: 1 }]) {
      const net = network(name, options);
      const found = inferNetwork(shapesOf(net));
      expect(found.name).toBe(name);
      expect(shapesOf(found)).toEqual(shapesOf(net));
      if (net.top) expect(found.layers).toEqual(net.layers);
    }
  });

  it('the CIFAR net is VGG-16 with batch norm, one dense layer, at 32 pixels', () => {
    const found = inferNetwork(shapesOf(network('cifar_vgg16_bn')));
    expect(found.layers).toEqual(network('cifar_vgg16_bn').layers);
  });

  it("a colour convolution in front is AdaIN's normalised VGG, whose borders are mirrored", () => {
    const net = network('vgg19', { colour: true, padding: 'reflect', top: false });
    expect(inferNetwork(shapesOf(net)).plan).toEqual(net.plan);
    expect(inferNetwork(shapesOf(net), { name: 'vgg19' }).plan).toEqual(net.plan);
    expect(inferNetwork(convsOf(net, 10)).layers[0]).toMatchObject({ name: 'conv0', kernel: 1, in: 3, out: 3 });
  });

  it("convolutions behind all of the network's, as SSD has, are not of it; in front of dense layers they are of another", () => {
    const extra = [
      { kernel: 3, in: 512, out: 1024 },
      { kernel: 1, in: 1024, out: 1024 },
    ];
    const features = convsOf(network('vgg16'), 13);
    expect(inferNetwork({ ...features, convs: [...features.convs, ...extra] }).name).toBe('vgg16');
    expect(inferNetwork({ ...features, convs: [...features.convs, ...extra] }, { name: 'vgg16' }).name).toBe('vgg16');
    const whole = shapesOf(network('vgg16'));
    expect(() => inferNetwork({ ...whole, convs: [...whole.convs, ...extra] })).toThrow(/expected the convolutions of a VGG column/);
  });

  it('the caller may say what shapes cannot', () => {
    expect(inferNetwork(shapesOf(network('vgg11_lrn')), { name: 'A-LRN' }).layers).toEqual(network('vgg11_lrn').layers);
    expect(inferNetwork(shapesOf(network('vgg19_3pool')), { name: 'vgg19_3pool' }).layers).toEqual(network('vgg19_3pool').layers);
    expect(inferNetwork(shapesOf(network('vgg16_bn')), { name: 'vgg16' }).name).toBe('vgg16_bn');
    const plan = { blocks: [[8, 8], [8]], dense: [4], classes: 2, size: 12, rounding: 'ceil' } as const;
    expect(inferNetwork(shapesOf(network(plan)), { name: plan }).layers).toEqual(network(plan).layers);
  });

  it('a file that stops early: the one column that starts so', () => {
    expect(inferNetwork(convsOf(network('vgg19'), 9)).name).toBe('vgg19');
    expect(inferNetwork(convsOf(network('vgg16'), 12)).name).toBe('vgg16');
  });

  it.each([
    [convsOf(network('vgg16'), 7), {}, 'f: its 7 convolutions are the first of vgg16, vgg19; say which with `arch`'],
    [{ convs: [], denses: [], batchNorm: false }, {}, 'f: expected the convolutions of a VGG network, received none'],
    [
      shapesOf(network({ blocks: [[16, 16], [32]], top: false })),
      {},
      'received conv3-16, conv3-16, conv3-32; say what it is with `arch`, such as {"blocks":[[16,16],[32]]}',
    ],
    [shapesOf(network('vgg19')), { name: 'vgg16' }, 'f: expected conv3-512 as convolution 8 of vgg16, received conv3-256'],
    [shapesOf(network('vgg16')), { name: 'vgg16_bn' }, 'f: expected batch normalisation as vgg16_bn has'],
    [
      { ...shapesOf(network('vgg16')), denses: [{ in: 1000, out: 10 }] },
      {},
      'expected a first dense layer on a square map of 512 channels, received 1000 inputs',
    ],
    [
      {
        ...shapesOf(network('vgg16')),
        denses: [
          { in: 512, out: 10 },
          { in: 11, out: 3 },
        ],
      },
      {},
      'expected 10 inputs for dense layer 2, received 11',
    ],
  ])('not to be guessed: %#', (shapes, options, message) => {
    expect(() => inferNetwork(shapes as WeightShapes, { ...options, source: 'f' })).toThrow(
      expect.objectContaining({ code: 'VGG_ARCHITECTURE', message: expect.stringContaining(message) }),
    );
  });
});
