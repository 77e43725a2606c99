import type { FileGraph, GraphLayer } from '../../src/graph.js';
import type { TensorToWrite } from '../../src/index.js';
import { random } from '../random.js';
import { toWrite } from '../writing.js';

/** Small networks with every layer that a FileGraph has, and what they compute, plainly. */

const conv = (name: string, channels: number, out: number, more: object = {}): GraphLayer => ({
  kind: 'conv',
  name,
  in: channels,
  out,
  kernel: [3, 3],
  stride: 1,
  pad: 1,
  dilation: 1,
  groups: 1,
  bias: true,
  ...more,
});
const pool = (name: string, kind: 'max' | 'average' | 'l2', more: object = {}): GraphLayer => ({
  kind: 'pool',
  name,
  pool: kind,
  size: 2,
  stride: 2,
  pad: 0,
  rounding: 'ceil',
  ...more,
});
const relu = (name: string): GraphLayer => ({ kind: 'relu', name });

/** Batch normalisation, LRN, reflected borders, dilation, windows that reach beyond the map, and a dense top: 3x9x9 to 7. */
export const DEEP: FileGraph = {
  name: 'small',
  input: { channels: 3, height: 9, width: 9 },
  layers: [
    conv('conv1_1', 3, 8),
    { kind: 'batchnorm', name: 'bn1_1', channels: 8, epsilon: 1e-3 },
    relu('relu1_1'),
    conv('conv1_2', 8, 8, { bias: false }),
    { kind: 'batchnorm', name: 'bn1_2', channels: 8, epsilon: 1e-5 },
    relu('relu1_2'),
    { kind: 'lrn', name: 'norm1', radius: 2, bias: 2, alpha: 1e-2, beta: 0.75 },
    pool('pool1', 'max'),
    conv('conv2_1', 8, 12, { padding: 'reflect' }),
    relu('relu2_1'),
    pool('pool2', 'l2'),
    conv('conv3_1', 12, 10, { dilation: 2, pad: 2 }),
    relu('relu3_1'),
    pool('pool3', 'average'),
    { kind: 'flatten', name: 'flatten' },
    { kind: 'dense', name: 'fc6', in: 40, out: 16, bias: true },
    relu('relu6'),
    { kind: 'dense', name: 'fc7', in: 16, out: 7, bias: true },
    { kind: 'softmax', name: 'prob' },
  ],
};

/** Pictures of any size, groups, strides, `same` borders, other windows, and a mean instead of a dense top. */
export const WIDE: FileGraph = {
  name: 'wide',
  input: { channels: 4 },
  layers: [
    conv('conv1_1', 4, 6, { groups: 2, kernel: [5, 3], pad: 'same' }),
    relu('relu1_1'),
    pool('pool1', 'max', { size: 3, rounding: 'floor' }),
    conv('conv2_1', 6, 8, { stride: 2, pad: 0 }),
    relu('relu2_1'),
    pool('pool2', 'average', { size: 3, stride: 1, rounding: 'floor' }),
    conv('conv3_1', 8, 5, { kernel: [1, 1], pad: 0 }),
    { kind: 'mean', name: 'mean' },
    { kind: 'softmax', name: 'prob' },
  ],
};

/** The tensors of a network, seeded. */
export function weightsOf(graph: FileGraph): Map<string, { shape: number[]; values: Float32Array }> {
  const next = random(11);
  const tensors = new Map<string, { shape: number[]; values: Float32Array }>();
  const add = (name: string, shape: number[], value: () => number) => {
    const count = shape.reduce((product, size) => product * size, 1);
    tensors.set(name, { shape, values: Float32Array.from({ length: count }, value) });
  };
  for (const layer of graph.layers) {
    if (layer.kind === 'conv' || layer.kind === 'dense') {
      const shape = layer.kind === 'conv' ? [...layer.kernel, layer.in! / layer.groups, layer.out] : [layer.in!, layer.out];
      const spread = 2 / Math.sqrt(shape.slice(0, -1).reduce((product, size) => product * size, 1));
      add(`${layer.name}.weight`, shape, () => (next() - 0.5) * 2 * spread);
      if (layer.bias) add(`${layer.name}.bias`, [layer.out], () => next() - 0.5);
    } else if (layer.kind === 'batchnorm') {
      add(`${layer.name}.scale`, [layer.channels!], () => next() + 0.5);
      add(`${layer.name}.offset`, [layer.channels!], () => next() - 0.5);
      add(`${layer.name}.mean`, [layer.channels!], () => next() - 0.5);
      add(`${layer.name}.variance`, [layer.channels!], () => next() + 0.2);
    }
  }
  return tensors;
}

export function toWriteAll(weights: ReturnType<typeof weightsOf>): TensorToWrite[] {
  return [...weights].map(([name, { shape, values }]) => toWrite(name, shape, values));
}

interface Cells {
  height: number;
  width: number;
  channels: number;
  /** [height, width, channels] */
  data: Float64Array;
}

/** What the network gives for one picture [height, width, channels], computed in float64. */
export function forward(graph: FileGraph, weights: ReturnType<typeof weightsOf>, picture: Cells): Cells {
  return graph.layers.reduce((x, layer) => layerOf(layer, weights, x), picture);
}

function layerOf(layer: GraphLayer, weights: ReturnType<typeof weightsOf>, x: Cells): Cells {
  const values = (part: string) => weights.get(`${layer.name}.${part}`)?.values;
  const each = (f: (value: number, i: number) => number): Cells => ({ ...x, data: x.data.map(f) });
  const row = (data: Float64Array): Cells => ({ height: 1, width: 1, channels: data.length, data });
  switch (layer.kind) {
    case 'conv':
      return convolve(layer, values('weight')!, values('bias'), x);
    case 'pool':
      return poolOf(layer, x);
    case 'dense': {
      const [weight, bias] = [values('weight')!, values('bias')];
      return row(
        Float64Array.from({ length: layer.out }, (_, o) =>
          x.data.reduce((sum, v, i) => sum + v * weight[i * layer.out + o]!, bias?.[o] ?? 0),
        ),
      );
    }
    case 'batchnorm': {
      const [scale, offset, mean, variance] = ['scale', 'offset', 'mean', 'variance'].map((part) => values(part)!);
      return each((v, i) => {
        const c = i % x.channels;
        return ((v - mean![c]!) / Math.sqrt(variance![c]! + layer.epsilon)) * scale![c]! + offset![c]!;
      });
    }
    case 'lrn':
      return each((v, i) => {
        const c = i % x.channels;
        let sum = 0;
        for (let k = Math.max(0, c - layer.radius); k <= Math.min(x.channels - 1, c + layer.radius); k++) sum += x.data[i - c + k]! ** 2;
        return v / (layer.bias + layer.alpha * sum) ** layer.beta;
      });
    case 'relu':
      return each((v) => Math.max(0, v));
    case 'mean': {
      const cells = x.height * x.width;
      return row(
        Float64Array.from({ length: x.channels }, (_, c) => x.data.reduce((s, v, i) => s + (i % x.channels === c ? v / cells : 0), 0)),
      );
    }
    case 'softmax': {
      const powers = x.data.map(Math.exp);
      const sum = powers.reduce((a, b) => a + b, 0);
      return { ...x, data: powers.map((v) => v / sum) };
    }
    case 'flatten':
      return row(x.data);
    default:
      return x;
  }
}

function convolve(layer: Extract<GraphLayer, { kind: 'conv' }>, weight: Float32Array, bias: Float32Array | undefined, x: Cells): Cells {
  const { kernel, out, stride, dilation, groups, pad, padding } = layer;
  const [py, px] = pad === 'same' ? kernel.map((k) => (dilation * (k - 1)) / 2) : [pad, pad];
  const size = (length: number, k: number, p: number) => Math.floor((length + 2 * p - dilation * (k - 1) - 1) / stride) + 1;
  const [height, width] = [size(x.height, kernel[0], py!), size(x.width, kernel[1], px!)];
  const [ins, outs] = [x.channels / groups, out / groups];
  const mirror = (i: number, n: number) => (i < 0 ? -i : i >= n ? 2 * n - 2 - i : i);
  const data = new Float64Array(height * width * out);
  for (let i = 0, at = 0; i < height; i++)
    for (let j = 0; j < width; j++)
      for (let o = 0; o < out; o++, at++) {
        let sum = bias?.[o] ?? 0;
        const first = Math.floor(o / outs) * ins;
        for (let r = 0; r < kernel[0]; r++)
          for (let s = 0; s < kernel[1]; s++) {
            let [y, z] = [i * stride + r * dilation - py!, j * stride + s * dilation - px!];
            if (padding === 'reflect') [y, z] = [mirror(y, x.height), mirror(z, x.width)];
            if (y < 0 || z < 0 || y >= x.height || z >= x.width) continue;
            for (let c = 0; c < ins; c++)
              sum += x.data[(y * x.width + z) * x.channels + first + c]! * weight[((r * kernel[1] + s) * ins + c) * out + o]!;
          }
        data[at] = sum;
      }
  return { height, width, channels: out, data };
}

function poolOf({ pool: kind, size, stride, rounding }: Extract<GraphLayer, { kind: 'pool' }>, x: Cells): Cells {
  const round = rounding === 'ceil' ? Math.ceil : Math.floor;
  const [height, width] = [x.height, x.width].map((length) => round((length - size) / stride) + 1) as [number, number];
  const data = new Float64Array(height * width * x.channels);
  for (let i = 0, at = 0; i < height; i++)
    for (let j = 0; j < width; j++)
      for (let c = 0; c < x.channels; c++, at++) {
        const cells: number[] = [];
        for (let y = i * stride; y < Math.min(x.height, i * stride + size); y++)
          for (let z = j * stride; z < Math.min(x.width, j * stride + size); z++) cells.push(x.data[(y * x.width + z) * x.channels + c]!);
        const mean = (f: (v: number) => number) => cells.reduce((sum, v) => sum + f(v), 0) / cells.length;
        data[at] = kind === 'max' ? Math.max(...cells) : kind === 'average' ? mean((v) => v) : Math.sqrt(mean((v) => v * v));
      }
  return { height, width, channels: x.channels, data };
}
