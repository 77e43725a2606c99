// onnxruntime-node: native code, with AVX-512 where the processor has it.
import ort from 'onnxruntime-node';
import { openSession } from './ort.mjs';
import { serve } from './serve.mjs';

serve(({ threads, modelPath, ...options }) =>
  openSession(ort, { modelPath, ...options }, { intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential' }),
);
