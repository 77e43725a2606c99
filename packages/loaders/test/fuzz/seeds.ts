import { bytesSource, filesSource, type Source } from '../../src/index.js';
import { repairTable } from './table.js';

/** Small sound files of one format, which mutations begin with. */
export interface Seeds {
  readonly format: string;
  /** Names of fixtures. */
  readonly fixtures: readonly string[];
  /** How a mutated file is opened: by itself, or with its companions beside it. */
  source(bytes: Uint8Array): Source;
}

const alone = (name: string) => (bytes: Uint8Array) => bytesSource(bytes, name);

/** With a file of zeros for each companion that it may name. */
const beside = (name: string, companions: Readonly<Record<string, number>>) => (bytes: Uint8Array) =>
  filesSource([
    new File([bytes as Uint8Array<ArrayBuffer>], name),
    ...Object.entries(companions).map(([other, length]) => new File([new Uint8Array(length)], other)),
  ]);

const repaired = (source: Seeds['source']) => (bytes: Uint8Array) => source(repairTable(bytes));

export const SEEDS: readonly Seeds[] = [
  { format: 'safetensors', fixtures: ['torch-plain.safetensors', 'torch-half.safetensors'], source: alone('model.safetensors') },
  { format: 'tfjs', fixtures: ['tfjs/model.json'], source: beside('model.json', { s1: 200, s2: 18 }) },
  {
    format: 'hdf5',
    fixtures: [
      'keras-published.h5',
      'keras3.weights.h5',
      'growing.h5',
      'sparse-earliest.h5',
      'sparse-latest.h5',
      'plain-edges.h5',
      'offsets-of-4.h5',
    ],
    source: alone('model.h5'),
  },
  { format: 'hdf5-types', fixtures: ['earliest.h5', 'latest.h5'], source: alone('model.h5') },
  { format: 'torch-zip', fixtures: ['pth-zip.pth', 'pth-views.pth', 'pth-checkpoint.pth'], source: alone('model.pth') },
  { format: 'torch-legacy', fixtures: ['pth-legacy.pth', 'pth-bn-legacy.pth', 'pth-views-legacy.pth'], source: alone('model.pth') },
  { format: 'npy-objects', fixtures: ['object-2.npy', 'object-4.npy', 'object-python2.npy'], source: alone('vgg16.npy') },
  { format: 'pickle', fixtures: ['arrays-2.pkl', 'arrays-5.pkl'], source: alone('weights.pkl') },
  {
    format: 'npz',
    fixtures: ['numpy-mixed.npz', 'numpy-mixed-compressed.npz', 'numpy-descriptors.npz'],
    source: alone('vgg16_weights.npz'),
  },
  { format: 'npy', fixtures: ['numpy-2x3.npy', 'numpy-fortran-big-f8.npy'], source: alone('mean.npy') },
  { format: 'keras-zip', fixtures: ['named.keras', 'class-names.keras'], source: alone('model.keras') },
  {
    format: 'caffe',
    fixtures: ['caffe-v1.caffemodel', 'caffe-v2.caffemodel', 'caffe-mean.binaryproto'],
    source: alone('model.caffemodel'),
  },
  { format: 'prototxt', fixtures: ['caffe-v2.prototxt'], source: alone('deploy.prototxt') },
  {
    format: 'onnx',
    fixtures: ['onnx-torch-bn.onnx', 'onnx-types.onnx', 'onnx-qlinear.onnx', 'onnx-tensorflow.onnx', 'onnx-external.onnx'],
    source: beside('model.onnx', { 'onnx-external.bin': 2108 }),
  },
  { format: 'matlab', fixtures: ['arrays.mat', 'arrays-compressed.mat', 'matconvnet.mat', 'matconvnet-dag.mat'], source: alone('net.mat') },
  { format: 'matlab-73', fixtures: ['matconvnet-73.mat', 'dag-73.mat', 'cycle-73.mat'], source: alone('net.mat') },
  {
    format: 'tf-checkpoint',
    fixtures: ['checkpoint/saver.index', 'checkpoint/module.index'],
    source: repaired(beside('model.index', { 'model.data-00000-of-00001': 1696 })),
  },
  {
    format: 'tf-checkpoint-keras',
    fixtures: ['checkpoint/keras.index'],
    source: repaired(beside('model.index', { 'model.data-00000-of-00001': 8696 })),
  },
  {
    format: 'tf-checkpoint-v1',
    fixtures: ['checkpoint/saver-v1.ckpt', 'checkpoint/parts-v1.ckpt'],
    source: repaired(alone('vgg_16.ckpt')),
  },
  { format: 'tfjs-graph', fixtures: ['graph-model/keras2.json'], source: beside('model.json', { 'keras2.bin': 760 }) },
  { format: 'tfjs-graph-uint8', fixtures: ['graph-model/uint8.json'], source: beside('model.json', { 'uint8.bin': 179 }) },
];
