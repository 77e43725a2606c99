// Every format that is only read, as the programs whose formats they are wrote it, to every writable one, bit for bit.
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { canonicalTensors, readCanonical, WRITERS, type Writer } from '@vgg/loaders';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import canonical from '../../packages/loaders/test/fixtures/canonical.json';
import { convert } from '../../packages/vgg/src/convert/convert.js';
import type { NetworkOptions } from '../../packages/vgg/src/network/architecture.js';
import type { Plan } from '../../packages/vgg/src/network/plan.js';
import { openNetworkWeights } from '../../packages/vgg/src/weights/open-weights.js';
import { weightSpecs } from '../../packages/vgg/src/weights/specs.js';

type Arch = Partial<Plan> & Pick<Plan, 'blocks'>;

/** By file and canonical tensor, the CRC-32 of the values as the real program reads them: see make_canonical.py. */
const PRINTED: Readonly<Record<string, Readonly<Record<string, number>>>> = canonical;

const TORCH: Arch = { blocks: [[2, 3], [4]], dense: [6], classes: 5, size: 8 };
const TORCH_OF_THREE: Arch = { blocks: [[2, 3], [4], [4, 5]], dense: [6, 6], classes: 7, size: 16 };
const VGG: Arch = { blocks: [[4], [6]], dense: [7], classes: 5, size: 8 };
const SLIM: Arch = { blocks: [[4]], dense: [], classes: 5, size: 4 };
const GRAPH: Arch = { blocks: [[2, 2]], dense: [5], classes: 4, size: 4 };
const GRAPH_OF_ONE: Arch = { blocks: [[2]], pools: [], dense: [], classes: 4, size: 4 };
const FROSSARD: Arch = {
  blocks: [
    [2, 2],
    [3, 3],
    [3, 3, 3],
    [4, 4, 4],
    [4, 4, 4],
  ],
  dense: [6, 6],
  classes: 5,
  size: 64,
};
const ones = (count: number) => Array<'conv1-2'>(count).fill('conv1-2');

/** The plan where the file does not tell it. */
const SOURCES: readonly [file: string, arch?: Arch][] = [
  ['torch/pth-zip.pth', TORCH],
  ['torch/pth-legacy.pth', TORCH],
  ['torch/pth-bn-legacy.pth', { ...TORCH, batchNorm: true }],
  ['torch/pth-checkpoint.pth', TORCH],
  ['torch/pth-vgg-traced.pt', { ...TORCH, batchNorm: true }],
  ['safetensors/torch-plain.safetensors', TORCH_OF_THREE],
  ['safetensors/torch-half.safetensors', TORCH_OF_THREE],
  ['safetensors/torch-bfloat16.safetensors', TORCH_OF_THREE],
  ['safetensors/torch-bn.safetensors', { ...TORCH_OF_THREE, batchNorm: true }],
  ['pickle/object-vgg.npy', VGG],
  ['pickle/arrays-vgg.pkl', VGG],
  ['numpy/vgg16-frossard.npz', FROSSARD],
  ['numpy/vgg16-frossard-compressed.npz', FROSSARD],
  ['matlab/matconvnet.mat'],
  ['matlab/matconvnet-old.mat'],
  ['matlab/matconvnet-net.mat'],
  ['matlab/matconvnet-dag.mat'],
  ['matlab/dag-73.mat'],
  ['matlab/vgg-73.mat'],
  ['tf-checkpoint/saver.index', SLIM],
  ['tf-checkpoint/saver-v1.ckpt', SLIM],
  ['tf-checkpoint/keras.index', { blocks: [ones(3), ones(3), ones(3), ones(2)], pools: [], dense: [], classes: 3, size: 4 }],
  ['tfjs/graph-model/optimised.json', GRAPH],
  ['tfjs/graph-model/uint8.json', GRAPH],
  ['tfjs/graph-model/uint16.json', GRAPH],
  ['tfjs/graph-model/float16.json', GRAPH],
  ['tfjs/graph-model/keras2.json', GRAPH_OF_ONE],
  ['tfjs/graph-model/slim.json', GRAPH_OF_ONE],
  ['tfjs/graph-model/folded.json', GRAPH_OF_ONE],
  ['keras/vgg.keras', { ...VGG, batchNorm: true, epsilon: 1e-3 }],
  [
    'keras/keras3.weights.h5',
    {
      blocks: [
        [4, 4],
        [6, 6],
      ],
      dense: [8, 8],
      classes: 5,
      size: 16,
    },
  ],
  [
    'keras/keras3-full.h5',
    {
      blocks: [
        [4, 4],
        [6, 6],
      ],
      dense: [8, 8],
      classes: 5,
      size: 16,
    },
  ],
  [
    'keras/keras-published.h5',
    {
      blocks: [
        [2, 2],
        [3, 3],
        [4, 4, 4],
        [5, 5, 5],
        [6, 6, 6],
      ],
      dense: [8, 8],
      classes: 10,
      size: 64,
    },
  ],
  ['keras/keras-checkpoint-2.12.h5', { blocks: [Array.from({ length: 12 }, (_, i) => i + 2)], channels: 1, top: false }],
  ['caffe/caffe-v1.caffemodel', { ...VGG, dense: [8], rounding: 'ceil' }],
  ['onnx/onnx-torch.onnx', VGG],
  ['onnx/onnx-torch-bn.onnx', { ...VGG, batchNorm: true }],
  ['onnx/onnx-torch-folded.onnx', VGG],
  ['onnx/onnx-dynamo.onnx', VGG],
  ['onnx/onnx-zoo.onnx', VGG],
  ['onnx/onnx-external.onnx', VGG],
  ['onnx/onnx-tensorflow.onnx'],
  ['onnx/onnx-types.onnx'],
  ['onnx/onnx-qlinear.onnx', VGG],
  ['onnx/onnx-qdq.onnx', VGG],
  ['onnx/onnx-dynamic.onnx', VGG],
];

const fixture = (name: string) => fileURLToPath(new URL(`../../packages/loaders/test/fixtures/${name}`, import.meta.url));
const nameFor = ({ id, endings }: Writer) => (id === 'tfjs' ? 'model.json' : `weights.${endings[0]}`);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-readable-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The canonical values of a file, by name, and what it is. */
async function valuesOf(weights: string, arch?: string | Arch, network?: NetworkOptions) {
  const opened = await openNetworkWeights(arch as string | Plan | undefined, { weights, ...(network && { network }) }, true);
  try {
    const all = new Map<string, Float32Array>();
    for (const { name } of weightSpecs(opened.network).flatMap(canonicalTensors)) {
      all.set(name, await readCanonical(opened.file, opened.mapping, name));
    }
    return { all, plan: opened.network.plan, preprocessing: opened.preprocessing };
  } finally {
    await opened.file.close();
  }
}

function sumsOf(all: ReadonlyMap<string, Float32Array>): Record<string, number> {
  return Object.fromEntries(
    [...all].map(([name, { buffer, byteOffset, byteLength }]) => [name, crc32(new Uint8Array(buffer, byteOffset, byteLength))]),
  );
}

test('every file that a real program has read is in the table', () => {
  expect(SOURCES.map(([file]) => file).sort()).toEqual(Object.keys(PRINTED).sort());
});

describe.each(SOURCES)('%s', (file, arch) => {
  test('has the values that its own program reads', async () => {
    expect(sumsOf((await valuesOf(fixture(file), arch)).all)).toEqual(PRINTED[file]);
  });

  test.each(WRITERS.map((writer): [string, Writer] => [writer.id, writer]))('to %s, bit for bit', async (id, writer) => {
    const target = join(folder, file.replace(/\W/g, '-'), id);
    await mkdir(target, { recursive: true });
    const path = join(target, nameFor(writer));
    const given = arch as Plan | undefined;
    await convert(fixture(file), path, given ? { arch: given } : {});
    const { plan, preprocessing } = await valuesOf(fixture(file), arch);
    // What is written tells its own network, and how pictures are prepared for it.
    const written = await valuesOf(path);
    expect(written).toMatchObject({ plan, preprocessing });
    expect(sumsOf(written.all)).toEqual(PRINTED[file]);
  });
});

describe('a Caffe model and its prototxt', () => {
  const [binary, text] = [fixture('caffe/caffe-v1.caffemodel'), fixture('caffe/caffe-v1-deploy.prototxt')];

  test('named beside it, tells the network', async () => {
    const pair = join(folder, 'pair');
    await mkdir(pair);
    await copyFile(binary, join(pair, 'net.caffemodel'));
    await copyFile(text, join(pair, 'net.prototxt'));
    const { all, plan } = await valuesOf(join(pair, 'net.caffemodel'));
    expect(plan).toMatchObject({ blocks: [[4], [6]], dense: [8], classes: 5, size: 8, rounding: 'ceil', dropout: 0.25 });
    expect(sumsOf(all)).toEqual(PRINTED['caffe/caffe-v1.caffemodel']);
  });

  test('named as the architecture, too', async () => {
    const { all, plan } = await valuesOf(binary, text);
    expect(plan).toMatchObject({ blocks: [[4], [6]], dense: [8], classes: 5, size: 8, rounding: 'ceil', dropout: 0.25 });
    expect(sumsOf(all)).toEqual(PRINTED['caffe/caffe-v1.caffemodel']);
  });
});
