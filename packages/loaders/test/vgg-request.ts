import type { FileGraph, GraphLayer, TensorToWrite, WriteRequest } from '../src/index.js';
import { random } from './random.js';
import { toWrite } from './writing.js';

export interface SmallVgg {
  batchNorm?: boolean;
  rounding?: 'floor' | 'ceil';
  /** Dense layers, convolutions in their place, or none. */
  top?: 'dense' | 'conv' | 'none';
  size?: number;
}

/** A VGG of two blocks, 3 -> 4 -> 4 -> 6 channels, and its weights from a fixed seed, to be written; `values` has them by name. */
export function smallVgg({ batchNorm = false, rounding = 'floor', top = 'dense', size = 12 }: SmallVgg = {}) {
  const next = random(11);
  const values = new Map<string, Float32Array>();
  const tensors: TensorToWrite[] = [];
  const layers: GraphLayer[] = [];
  const add = (name: string, shape: number[], least = -0.5) => {
    const count = shape.reduce((product, side) => product * side, 1);
    values.set(
      name,
      Float32Array.from({ length: count }, () => next() + least),
    );
    tensors.push(toWrite(name, shape, values.get(name)!));
  };
  const conv = (name: string, from: number, out: number, side: number, pad: number) => {
    layers.push({ kind: 'conv', name, in: from, out, kernel: [side, side], stride: 1, pad, dilation: 1, groups: 1, bias: true });
    add(`${name}.weight`, [side, side, from, out]);
    add(`${name}.bias`, [out]);
  };
  let channels = 3;
  let map = size;
  for (const [b, widths] of [[4, 4], [6]].entries()) {
    for (const [k, out] of widths.entries()) {
      const place = `${b + 1}_${k + 1}`;
      conv(`conv${place}`, channels, out, 3, 1);
      if (batchNorm) {
        layers.push({ kind: 'batchnorm', name: `bn${place}`, channels: out, epsilon: 1e-5 });
        for (const part of ['scale', 'offset', 'mean']) add(`bn${place}.${part}`, [out]);
        add(`bn${place}.variance`, [out], 0.5);
      }
      layers.push({ kind: 'relu', name: `relu${place}` });
      channels = out;
    }
    layers.push({ kind: 'pool', name: `pool${b + 1}`, pool: b ? 'average' : 'max', size: 2, stride: 2, pad: 0, rounding });
    map = rounding === 'ceil' ? Math.ceil(map / 2) : Math.floor(map / 2);
  }
  let inputs = top === 'conv' ? channels : map * map * channels;
  if (top === 'dense') layers.push({ kind: 'flatten', name: 'flatten' });
  for (const [i, out] of (top === 'none' ? [] : [9, 8, 5]).entries()) {
    const name = `fc${6 + i}`;
    if (top === 'conv') conv(name, inputs, out, i === 0 ? map : 1, 0);
    else {
      layers.push({ kind: 'dense', name, in: inputs, out, bias: true });
      add(`${name}.weight`, [inputs, out]);
      add(`${name}.bias`, [out]);
    }
    if (i < 2) layers.push({ kind: 'relu', name: `relu${6 + i}` }, { kind: 'dropout', name: `drop${6 + i}`, rate: 0.5 });
    inputs = out;
  }
  if (top === 'conv') layers.push({ kind: 'mean', name: 'mean' });
  if (top !== 'none') layers.push({ kind: 'softmax', name: 'prob' });
  const graph: FileGraph = { name: 'small', input: { channels: 3, height: size, width: size }, layers };
  const metadata = new Map([
    ['vgg.plan', '{"blocks":[[4,4],[6]]}'],
    ['vgg.licence', 'CC BY 4.0, Universität'],
  ]);
  const request: WriteRequest & { graph: FileGraph } = { name: 'small', graph, tensors, metadata };
  return { request, values };
}

const KERAS_PARTS = new Map([
  ['weight', 'kernel'],
  ['scale', 'gamma'],
  ['offset', 'beta'],
  ['mean', 'moving_mean'],
  ['variance', 'moving_variance'],
]);
const KERAS_DENSE = new Map([
  ['fc6', 'fc1'],
  ['fc7', 'fc2'],
  ['fc8', 'predictions'],
]);

/** `block1_conv1/kernel` of `conv1_1.weight`. */
export function kerasName(name: string): string {
  const [layer, part] = name.split('.') as [string, string];
  const own = KERAS_DENSE.get(layer) ?? layer.replace(/^(conv|bn)(\d+)_(\d+)$/, 'block$2_$1$3');
  return `${own}/${KERAS_PARTS.get(part) ?? part}`;
}
