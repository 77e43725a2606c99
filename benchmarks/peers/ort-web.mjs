// onnxruntime-web: WebAssembly.
import * as ort from 'onnxruntime-web';
import { openSession } from './ort.mjs';
import { serve } from './serve.mjs';

serve(({ threads, modelPath, ...options }) => {
  ort.env.wasm.numThreads = threads;
  return openSession(ort, { ...options, bytesPath: modelPath }, { executionProviders: ['wasm'] });
});
