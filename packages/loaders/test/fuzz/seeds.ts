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
  {
    format: 'safetensors',
    fixtures: ['safetensors/torch-plain.safetensors', 'safetensors/torch-half.safetensors'],
    source: alone('model.safetensors'),
  },
  { format: 'safetensors-int4', fixtures: ['safetensors/int4.safetensors'], source: alone('model.safetensors') },
  { format: 'tfjs', fixtures: ['tfjs/model.json', 'tfjs/model-sha256.json'], source: beside('model.json', { s1: 200, s2: 18 }) },
  {
    format: 'hdf5',
    fixtures: [
      'keras/keras-published.h5',
      'keras/keras3.weights.h5',
      'hdf5/growing.h5',
      'hdf5/sparse-earliest.h5',
      'hdf5/sparse-latest.h5',
      'hdf5/plain-edges.h5',
      'hdf5/offsets-of-4.h5',
    ],
    source: alone('model.h5'),
  },
  { format: 'hdf5-types', fixtures: ['hdf5/earliest.h5', 'hdf5/latest.h5'], source: alone('model.h5') },
  { format: 'torch-zip', fixtures: ['torch/pth-zip.pth', 'torch/pth-views.pth', 'torch/pth-checkpoint.pth'], source: alone('model.pth') },
  {
    format: 'torch-legacy',
    fixtures: ['torch/pth-legacy.pth', 'torch/pth-bn-legacy.pth', 'torch/pth-views-legacy.pth'],
    source: alone('model.pth'),
  },
  {
    format: 'npy-objects',
    fixtures: ['pickle/object-2.npy', 'pickle/object-4.npy', 'pickle/object-python2.npy'],
    source: alone('vgg16.npy'),
  },
  { format: 'pickle', fixtures: ['pickle/arrays-2.pkl', 'pickle/arrays-5.pkl'], source: alone('weights.pkl') },
  {
    format: 'npz',
    fixtures: ['numpy/numpy-mixed.npz', 'numpy/numpy-mixed-compressed.npz', 'numpy/numpy-descriptors.npz'],
    source: alone('vgg16_weights.npz'),
  },
  { format: 'npy', fixtures: ['numpy/numpy-2x3.npy', 'numpy/numpy-fortran-big-f8.npy'], source: alone('mean.npy') },
  { format: 'keras-zip', fixtures: ['keras/named.keras', 'keras/class-names.keras'], source: alone('model.keras') },
  {
    format: 'caffe',
    fixtures: ['caffe/caffe-v1.caffemodel', 'caffe/caffe-v2.caffemodel', 'caffe/caffe-mean.binaryproto'],
    source: alone('model.caffemodel'),
  },
  { format: 'prototxt', fixtures: ['caffe/caffe-v2.prototxt'], source: alone('deploy.prototxt') },
  {
    format: 'onnx',
    fixtures: [
      'onnx/onnx-torch-bn.onnx',
      'onnx/onnx-types.onnx',
      'onnx/onnx-qlinear.onnx',
      'onnx/onnx-tensorflow.onnx',
      'onnx/onnx-external.onnx',
    ],
    source: beside('model.onnx', { 'onnx-external.bin': 2108 }),
  },
  {
    format: 'matlab',
    fixtures: ['matlab/arrays.mat', 'matlab/arrays-compressed.mat', 'matlab/matconvnet.mat', 'matlab/matconvnet-dag.mat'],
    source: alone('net.mat'),
  },
  { format: 'matlab-73', fixtures: ['matlab/matconvnet-73.mat', 'matlab/dag-73.mat', 'matlab/cycle-73.mat'], source: alone('net.mat') },
  {
    format: 'tf-checkpoint',
    fixtures: ['tf-checkpoint/saver.index', 'tf-checkpoint/module.index'],
    source: repaired(beside('model.index', { 'model.data-00000-of-00001': 1696 })),
  },
  {
    format: 'tf-checkpoint-keras',
    fixtures: ['tf-checkpoint/keras.index'],
    source: repaired(beside('model.index', { 'model.data-00000-of-00001': 8696 })),
  },
  {
    format: 'tf-checkpoint-v1',
    fixtures: ['tf-checkpoint/saver-v1.ckpt', 'tf-checkpoint/parts-v1.ckpt'],
    source: repaired(alone('vgg_16.ckpt')),
  },
  { format: 'tfjs-graph', fixtures: ['tfjs/graph-model/keras2.json'], source: beside('model.json', { 'keras2.bin': 760 }) },
  { format: 'tfjs-graph-uint8', fixtures: ['tfjs/graph-model/uint8.json'], source: beside('model.json', { 'uint8.bin': 179 }) },
];
