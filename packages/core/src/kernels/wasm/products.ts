import { backend_util, type Conv2DAttrs, getKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import { itemSize, type LayerRunner } from './layer-runner.js';
import type { KernelArguments, Override } from './override.js';
import { aligned } from './workspace.js';

/** The fields of `ProductJob` in assembly/layer-jobs.ts, in its order. */
const FIELDS = [
  'a',
  'b',
  'c',
  'bias',
  'rows',
  'depth',
  'columns',
  'relu',
  'transposedA',
  'transposedB',
  'outHeight',
  'outWidth',
  'imageStride',
  'lineStride',
  'pixelStride',
  'piece',
  'pieceStride',
  'rowsPerItem',
  'panelsPerItem',
  'sums',
] as const;
type Field = (typeof FIELDS)[number];
type ProductFields = Record<Exclude<Field, keyof Division | 'sums'>, number | boolean>;
/** How a product is divided into items. */
type Division = Record<'rowsPerItem' | 'panelsPerItem', number>;
interface Size {
  rows: number;
  depth: number;
  columns: number;
  transposedB: boolean;
}

type Inputs = Record<'a' | 'b' | 'x' | 'filter' | 'bias' | 'preluActivationWeights', TensorInfo | undefined>;

/** Kernels of tfjs that compute an activation which ours do not. */
const ACTIVATIONS: Record<string, string> = {
  relu6: 'Relu6',
  elu: 'Elu',
  sigmoid: 'Sigmoid',
  leakyrelu: 'LeakyRelu',
  prelu: 'Prelu',
};

/**
 * Matrix products of tfjs, plain and fused, and convolutions without padding, which are products of their windows and the filter.
 * The right side is read where it lies: nothing is kept between calls.
 */
export function productKernels(runner: LayerRunner): Override[] {
  return [
    { name: 'BatchMatMul', serve: (args) => matMul(runner, args) },
    { name: '_FusedMatMul', serve: (args) => fusedMatMul(runner, args) },
    { name: 'Conv2D', serve: (args) => convolve(runner, args) },
    { name: 'FusedConv2D', serve: (args) => convolve(runner, args) },
  ];
}

function fusedMatMul(runner: LayerRunner, args: KernelArguments): TensorInfo | undefined {
  const { activation = 'linear', leakyreluAlpha } = args.attrs as { activation?: string; leakyreluAlpha?: number };
  if (activation === 'linear' || activation === 'relu') return matMul(runner, args, activation === 'relu');
  // tfjs's own is wrong with a transposition and a bias, whatever the activation: its activation is run behind our product.
  const kernel = ACTIVATIONS[activation] && getKernel(ACTIVATIONS[activation], 'wasm');
  if (!kernel) return undefined;
  const product = matMul(runner, args);
  if (!product) return undefined;
  const { preluActivationWeights: alpha } = args.inputs as Inputs;
  try {
    const inputs = alpha ? { x: product, alpha } : { x: product };
    return kernel.kernelFunc({ inputs, backend: args.backend, attrs: { alpha: leakyreluAlpha } as never }) as TensorInfo;
  } finally {
    runner.workspace.runtime.backend.disposeData(product.dataId, true);
  }
}

function matMul(runner: LayerRunner, { inputs, attrs, backend }: KernelArguments, relu = false): TensorInfo | undefined {
  const { a, b, bias } = inputs as Inputs;
  if (!a || !b || backend !== runner.workspace.runtime.backend || a.dtype !== 'float32' || b.dtype !== 'float32') return undefined;
  if (a.shape.length < 2 || b.shape.length < 2) return undefined;
  const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
  const [rows, depth] = transposeA ? a.shape.slice(-2).reverse() : a.shape.slice(-2);
  const [innerDepth, columns] = transposeB ? b.shape.slice(-2).reverse() : b.shape.slice(-2);
  if (depth !== innerDepth || Math.min(rows, depth, columns) < 1 || !isBias(bias, columns)) return undefined;
  const [aBatch, bBatch] = [a, b].map(({ shape }) => shape.slice(0, -2).reduce((product, size) => product * size, 1));
  if (aBatch < 1 || bBatch < 1) return undefined;
  const batchShape = backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const batch = batchShape.reduce((product, size) => product * size, 1);
  // One side is repeated or none; both in parts, which only hand-made broadcasts do, is left to tfjs.
  if ((aBatch !== batch && aBatch !== 1) || (bBatch !== batch && bBatch !== 1)) return undefined;

  // Stacked on one right side, the left sides are one matrix.
  const joined = bBatch === 1 && !transposeA ? batch : 1;
  const size = {
    rows: rows * joined,
    depth,
    columns,
    // A matrix of one row or column lies in memory as its transpose does.
    transposedB: transposeB && columns > 1 && depth > 1,
  };
  const fields = { ...plainRows(depth), ...size, relu, transposedA: transposeA && rows > 1 && depth > 1 };
  return run(runner, 'matMul', [...batchShape, rows, columns], size, bias, (output, biasAt, multiply) => {
    const [aAt, bAt, cAt] = [a, b, output].map((tensor) => runner.workspace.pointer(tensor));
    for (let i = 0; i < batch / joined; i++) {
      multiply({
        ...fields,
        a: aAt + (aBatch === 1 ? 0 : i * rows * depth * 4),
        b: bAt + (bBatch === 1 ? 0 : i * depth * columns * 4),
        c: cAt + i * rows * columns * 4,
        bias: biasAt,
      });
    }
  });
}

function convolve(runner: LayerRunner, { inputs, attrs, backend }: KernelArguments): TensorInfo | undefined {
  const { x, filter, bias, preluActivationWeights } = inputs as Inputs;
  const {
    strides,
    dilations,
    pad,
    dataFormat,
    dimRoundingMode,
    activation = 'linear',
  } = attrs as unknown as Conv2DAttrs & { activation?: string };
  if (!x || !filter || backend !== runner.workspace.runtime.backend || preluActivationWeights || dataFormat === 'NCHW') return undefined;
  if (x.dtype !== 'float32' || filter.dtype !== 'float32' || (activation !== 'linear' && activation !== 'relu')) return undefined;
  if (x.shape.length !== 4 || x.shape[3] !== filter.shape[2]) return undefined;
  const shape = x.shape as [number, number, number, number];
  const info = backend_util.computeConv2DInfo(shape, filter.shape as typeof shape, strides, dilations, pad, dimRoundingMode);
  const { inHeight, inWidth, inChannels, filterHeight, filterWidth, strideHeight, strideWidth, outHeight, outWidth, outChannels, padInfo } =
    info;
  if (padInfo.top || padInfo.bottom || padInfo.left || padInfo.right || info.dilationHeight !== 1 || info.dilationWidth !== 1)
    return undefined;
  // Those have a faster kernel of their own.
  if (filterHeight === 3 && filterWidth === 3 && strideHeight === 1 && strideWidth === 1) return undefined;
  if (info.outShape.some((size) => size < 1) || inChannels < 1 || !isBias(bias, outChannels)) return undefined;

  const line = inWidth * inChannels;
  const isWhole = filterWidth === inWidth;
  const size = {
    rows: info.batchSize * outHeight * outWidth,
    depth: filterHeight * filterWidth * inChannels,
    columns: outChannels,
    transposedB: false,
  };
  return run(runner, 'conv2d', info.outShape, size, bias, (output, biasAt, multiply) =>
    multiply({
      ...size,
      a: runner.workspace.pointer(x),
      b: runner.workspace.pointer(filter),
      c: runner.workspace.pointer(output),
      bias: biasAt,
      relu: activation === 'relu',
      transposedA: false,
      outHeight,
      outWidth,
      imageStride: inHeight * line,
      lineStride: strideHeight * line,
      pixelStride: strideWidth * inChannels,
      piece: (isWhole ? filterHeight : 1) * filterWidth * inChannels,
      pieceStride: line,
    }),
  );
}

function isBias(bias: TensorInfo | undefined, columns: number): boolean {
  return !bias || (bias.dtype === 'float32' && bias.shape.length <= 1 && ((bias.shape[0] ?? 1) === columns || (bias.shape[0] ?? 1) === 1));
}

/** Rows of a plain matrix: images of one pixel. */
function plainRows(depth: number) {
  return { outHeight: 1, outWidth: 1, imageStride: depth, lineStride: 0, pixelStride: 0, piece: depth, pieceStride: 0 };
}

/** Up to so many rows the kernel streams the right side: FEW_ROWS in assembly/product.ts. */
const STREAMED_ROWS = 6;
/** Rows and panels that the kernel takes at a time: ROWS and PANELS there. Items are whole blocks where that leaves enough of them. */
const BLOCK_ROWS = 48;
const BLOCK_PANELS = 16;

/** Blocks of the depth that are summed from zero: DEPTH there. */
const BLOCK_DEPTH = 256;

const isStreamed = ({ rows, transposedB }: Size): boolean => rows <= STREAMED_ROWS && !transposedB;

/** Divides a product: rows where there are many, so that each thread repacks little twice, else columns. */
function divide({ rows, columns }: Size, threads: number): Division {
  const panels = Math.ceil(columns / 8);
  if (rows > STREAMED_ROWS && rows >= columns) return { rowsPerItem: itemSize(rows, threads, BLOCK_ROWS), panelsPerItem: panels };
  return { rowsPerItem: rows, panelsPerItem: itemSize(panels, threads, panels >= 4 * threads * BLOCK_PANELS ? BLOCK_PANELS : 1) };
}

/** Where the kernel finds the fields: the first lines of the memory that the call takes. */
const FIELDS_BYTES = 128;

/** Makes the output and the private memory, and hands on where they are. Nothing is left behind where there is no room. */
function run(
  runner: LayerRunner,
  who: string,
  shape: number[],
  size: Size,
  bias: TensorInfo | undefined,
  compute: (output: TensorInfo, biasAt: number, multiply: (fields: ProductFields) => void) => void,
): TensorInfo {
  const { workspace, kernels } = runner;
  const { rows, depth, columns } = size;
  const threads = runner.threadsFor({
    bytes: 4 * (rows * depth + depth * columns + rows * columns),
    multiplications: rows * depth * columns,
  });
  const division = divide(size, threads);
  const items = Math.ceil(rows / division.rowsPerItem) * Math.ceil(columns / (8 * division.panelsPerItem));
  // A single bias stands for all columns, as tfjs's operation allows.
  const spread = bias && columns > 1 && (bias.shape[0] ?? 1) === 1;
  const biasBytes = spread ? aligned(columns * 4) : 0;
  const stride = aligned(kernels.productBytes());
  // Threads share the depth where the right side is streamed and there is enough of it.
  const depths = Math.ceil(depth / BLOCK_DEPTH);
  const blocks = threads > 1 && isStreamed(size) && depths >= threads ? depths : 0;
  const job = workspace.scratch(FIELDS_BYTES + biasBytes + threads * stride + blocks * rows * columns * 4);
  const work = job + FIELDS_BYTES + biasBytes;
  const sums = work + threads * stride;
  const output = workspace.makeOutput(who, shape);
  let biasAt = bias ? workspace.pointer(bias) : 0;
  if (spread) {
    const value = workspace.floats(biasAt, 1)[0];
    biasAt = job + FIELDS_BYTES;
    workspace.floats(biasAt, columns).fill(value);
  }
  compute(output, biasAt, (fields) => {
    const all = { ...fields, ...division, sums };
    workspace.write(job, FIELDS.map((name) => Number(all[name]))); // biome-ignore format: one thought
    const task = { job, work, stride, threads };
    if (blocks > 0) {
      runner.run('streamBlockItem', { ...task, items: blocks });
      runner.run('settleBlocksItem', { ...task, items });
    } else runner.run('multiplyBlockItem', { ...task, items });
  });
  return output;
}
