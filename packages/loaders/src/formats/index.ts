import type { Format } from '../format.js';
import { kerasH5 } from './keras-h5.js';
import { safetensors } from './safetensors.js';
import { tfjsLayers } from './tfjs-layers.js';

/** Every format that can be read. A further one is one file here and one line in this list. */
export const FORMATS: readonly Format[] = [kerasH5, safetensors, tfjsLayers];
