import { readFileSync } from 'node:fs';
import { readPixels } from './serve.mjs';

/** A session of onnxruntime, of either package, whose result comes channels last as ours. */
export async function openSession(ort, { modelPath, batch, size, ...options }, settings) {
  const start = performance.now();
  const session = await ort.InferenceSession.create(modelPath ?? readFileSync(options.bytesPath), settings);
  const setUp = performance.now() - start;
  const values = readPixels(options);
  const input = new Float32Array(values.length);
  const pixels = size * size;
  for (let n = 0; n < batch; n++)
    for (let i = 0; i < pixels; i++) for (let c = 0; c < 3; c++) input[(n * 3 + c) * pixels + i] = values[(n * pixels + i) * 3 + c];
  const feeds = { [session.inputNames[0]]: new ort.Tensor('float32', input, [batch, 3, size, size]) };
  return {
    setUp,
    async run() {
      const { [session.outputNames[0]]: y } = await session.run(feeds);
      return y.data;
    },
  };
}
