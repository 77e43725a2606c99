import type { FileGraph, GraphLayer } from '@vgg/loaders';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { architectureNames, network } from './architecture.js';
import { graphOfNetwork, planOfGraph } from './graph.js';
import type { Plan } from './plan.js';

describe('a network as a graph and back', () => {
  it.each(architectureNames())('%s', (name) => {
    for (const options of [
      {},
      { classes: 7, channels: 1, dense: [32] },
      { padding: 'reflect', colour: true } as const,
      { rounding: 'ceil' } as const,
      { globalPool: true },
      { globalPool: true, dense: [32], classes: 3 },
    ]) {
      const net = network(name, options);
      expect(planOfGraph(graphOfNetwork(net))).toEqual(net.plan);
    }
    const convolutional = network(name, { convolutionalTop: true, globalPool: false, size: 2 ** network(name).plan.pools.length });
    expect(planOfGraph(graphOfNetwork(convolutional))).toEqual(convolutional.plan);
    const features = network(name, { top: false, padding: 'valid', pool: 'average' });
    expect(network(planOfGraph(graphOfNetwork(features))!).layers).toEqual(features.layers);
  });

  it('of any plan, the same layers', () => {
    const width = fc.integer({ min: 1, max: 64 });
    const conv = fc.oneof(
      width,
      width.map((out) => `conv1-${out}` as const),
    );
    const plans = fc.record({
      blocks: fc.array(fc.array(conv, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 }),
      pools: fc.subarray([1, 2, 3, 4]),
      pool: fc.constantFrom('max' as const, 'average' as const, 'l2' as const),
      poolSize: fc.integer({ min: 2, max: 3 }),
      rounding: fc.constantFrom('floor' as const, 'ceil' as const),
      padding: fc.constantFrom('zero' as const, 'reflect' as const, 'valid' as const),
      batchNorm: fc.boolean(),
      lrn: fc.boolean(),
      top: fc.boolean(),
      dense: fc.array(width, { maxLength: 3 }),
      dropout: fc.constantFrom(0, 0.3),
      classes: width,
      size: fc.constant(224),
    });
    fc.assert(
      fc.property(plans, (given) => {
        // What a 1x1 convolution sees beyond the border, nothing tells.
        const blocks = [[3, ...given.blocks[0]!.slice(1)], ...given.blocks.slice(1)];
        const net = network({ ...given, blocks, pools: given.pools.filter((block) => block <= given.blocks.length) });
        const found = planOfGraph(graphOfNetwork(net));
        expect(found).toBeDefined();
        expect(network(found!).layers).toEqual(net.layers);
      }),
      { numRuns: 200 },
    );
  });

  it('tells of the layers in the words of files', () => {
    const { name, input, layers } = graphOfNetwork(network('vgg16'));
    expect([name, input]).toEqual(['vgg16', { channels: 3, height: 224, width: 224 }]);
    expect(layers[0]).toEqual({
      kind: 'conv',
      name: 'conv1_1',
      in: 3,
      out: 64,
      kernel: [3, 3],
      stride: 1,
      pad: 1,
      dilation: 1,
      groups: 1,
      bias: true,
    });
    expect(layers[4]).toEqual({ kind: 'pool', name: 'pool1', pool: 'max', size: 2, stride: 2, pad: 0, rounding: 'floor' });
    expect(layers.slice(-9).map((layer) => layer.name)).toEqual('flatten fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob'.split(' '));
  });
});

/** vgg16's graph, changed at one layer. */
function changed(name: string, change: (layer: GraphLayer) => GraphLayer | GraphLayer[], arch = 'vgg16'): FileGraph {
  const graph = graphOfNetwork(network(arch));
  return { ...graph, layers: graph.layers.flatMap((layer) => (layer.name === name ? change(layer) : layer)) };
}

describe('graphs of others', () => {
  const plain = network('vgg16').plan;

  it('without names that tell, a pool ends a block; without a size, fc6 tells it', () => {
    const graph = graphOfNetwork(network('vgg16'));
    const layers = graph.layers.map((layer, i) => ({ ...layer, name: `layer${i}` }));
    expect(planOfGraph({ layers })).toEqual(plain);
  });

  it('dense layers as convolutions, as MatConvNet and TF-Slim have them, are dense at that size', () => {
    const graph = graphOfNetwork(network('vgg16', { convolutionalTop: true }));
    expect(planOfGraph({ ...graph, layers: graph.layers.filter(({ kind }) => kind !== 'mean') })).toEqual(plain);
    expect(planOfGraph({ layers: graph.layers.filter(({ kind }) => kind !== 'mean') })).toEqual(plain);
  });

  it('what training adds, and pools of one cell, are no layers', () => {
    const graph = changed('prob', (prob) => [prob, { kind: 'other', name: 'loss', type: 'SoftmaxWithLoss' }]);
    const idle: GraphLayer = { kind: 'pool', name: 'avgpool', pool: 'average', size: 1, stride: 1, pad: 0, rounding: 'floor' };
    const first: GraphLayer = { kind: 'other', name: 'data', type: 'Data' };
    expect(planOfGraph({ ...graph, layers: [first, ...graph.layers.toSpliced(-10, 0, idle)] })).toEqual(plain);
    expect(planOfGraph(changed('flatten', () => []))).toEqual(plain);
    expect(planOfGraph(changed('drop6', () => []))).toEqual(plain);
    expect(planOfGraph(changed('pool5', (pool) => ({ ...pool, pad: 'same' }) as GraphLayer))).toBeUndefined();
  });

  it("TensorFlow's SAME pools round up", () => {
    const graph = graphOfNetwork(network('vgg16'));
    const same = graph.layers.map((layer) => (layer.kind === 'pool' ? ({ ...layer, pad: 'same' } as const) : layer));
    expect(planOfGraph({ ...graph, layers: same })).toEqual({ ...plain, rounding: 'ceil' });
  });

  it.each([
    ['conv1_1', { kernel: [5, 5] }],
    ['conv1_1', { kernel: [3, 1] }],
    ['conv2_1', { stride: 2 }],
    ['conv2_1', { dilation: 2 }],
    ['conv2_1', { groups: 2 }],
    ['conv2_1', { pad: 2 }],
    ['conv2_1', { pad: 0 }],
    ['conv2_1', { padding: 'reflect' }],
    ['relu2_1', { kind: 'other', type: 'PReLU' }],
    ['pool2', { rounding: 'ceil' }],
    ['pool2', { pool: 'average' }],
    ['pool3', { size: 3 }],
    ['pool2', { kind: 'other', type: 'Concat' }],
    ['fc6', { kind: 'mean' }],
    ['prob', { kind: 'relu' }],
    ['fc7', { out: 1 << 21 }],
  ])('%s %o is of another family', (name, change) => {
    expect(planOfGraph(changed(name, (layer) => ({ ...layer, ...change }) as GraphLayer))).toBeUndefined();
  });

  it('normalisations of other numbers, or not behind each convolution', () => {
    expect(planOfGraph(changed('norm1', (norm) => ({ ...norm, alpha: 5e-4 }) as GraphLayer, 'A-LRN'))).toBeUndefined();
    expect(planOfGraph(changed('norm1', (norm) => ({ ...norm, alpha: Math.fround(1e-4) }) as GraphLayer, 'A-LRN'))).toMatchObject({
      lrn: true,
    });
    expect(planOfGraph(changed('bn1_2', () => [], 'vgg16_bn'))).toBeUndefined();
    expect(planOfGraph(changed('bn1_2', (norm) => ({ ...norm, epsilon: 1e-3 }) as GraphLayer, 'vgg16_bn'))).toBeUndefined();
    expect(planOfGraph({ layers: [] })).toBeUndefined();
    const graph = graphOfNetwork(network('vgg16'));
    expect(planOfGraph({ ...graph, input: { height: 224, width: 192 } })).toBeUndefined();
  });

  it('names are those of the family where it has this network, else the own', () => {
    const graph = graphOfNetwork(network('vgg16_bn'));
    expect(planOfGraph({ ...graph, name: 'VGG_ILSVRC_16_layers' })!.name).toBe('vgg16_bn');
    const own: Partial<Plan> & Pick<Plan, 'blocks'> = { name: 'mine', blocks: [[4], [8]], dense: [], classes: 2, size: 8 };
    expect(planOfGraph(graphOfNetwork(network(own)))).toEqual(network(own).plan);
  });
});
