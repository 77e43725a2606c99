// A page that somebody bundles: nothing but the library's own name is imported.
import { load } from 'vgg';

const side = 32;

async function main() {
  const data = new Uint8Array(side * side * 3);
  for (let y = 0, i = 0; y < side; y++)
    for (let x = 0; x < side; x++) for (let c = 0; c < 3; c++) data[i++] = (7 * y + 3 * x + 50 * c + ((x * y) % 11) * 5) % 256;
  const query = new URLSearchParams(location.search);
  const wasmUrl = query.get('wasm') ?? undefined;
  const script = query.get('worker');
  const workerFactory = script === null ? undefined : () => new Worker(script);
  const model = await load(undefined, { weights: new URL('small.safetensors', location.href), backend: 'wasm', wasmUrl, workerFactory });
  const map = await model.extract({ data, width: side, height: side, channels: 3 }, 'relu2_2');
  const { name, sharedMemory, threads, threadsReason } = model.backend;
  model.dispose();
  const { weights } = await load();
  return {
    backend: name,
    sharedMemory,
    threads,
    threadsReason,
    isolated: crossOriginIsolated,
    inside: weights.name,
    relu2_2: [...map.data],
  };
}

main().then(
  (result) => {
    window.result = result;
  },
  (error) => {
    window.result = { error: `${error.code}: ${error.message}` };
  },
);
