import type { Format } from '../format.js';
import { caffe } from './caffe/index.js';
import { meanFile } from './caffe/mean.js';
import { prototxt } from './caffe/prototxt.js';
import { kerasH5 } from './keras-h5.js';
import { matlab5, matlab73 } from './matlab/index.js';
import { npy } from './npy-file.js';
import { onnx } from './onnx/index.js';
import { pickledArrays } from './pickle/pickled-arrays.js';
import { safetensors } from './safetensors.js';
import { tfCheckpoint } from './tf-checkpoint/index.js';
import { tfjsLayers } from './tfjs-layers.js';
import { torchLegacy } from './torch/legacy.js';
import { zipArchive } from './zip-archive.js';

/**
 * Every format that can be read. A further one is one file here and one line in this list. Those that a signature tells come first;
 * of the others, which look at the first fields, a file fits one at most.
 */
export const FORMATS: readonly Format[] = [
  matlab73, // HDF5 with a block of MATLAB's own in front
  kerasH5,
  safetensors,
  tfjsLayers,
  zipArchive,
  torchLegacy,
  npy,
  matlab5,
  tfCheckpoint,
  onnx,
  caffe,
  prototxt,
  meanFile,
  pickledArrays,
];
