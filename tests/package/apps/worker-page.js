// A page whose model runs in a worker, as somebody who bundles would write it.
import { load } from 'vgg';

const side = 32;

async function main() {
  const data = new Uint8Array(side * side * 3);
  for (let y = 0, i = 0; y < side; y++)
    for (let x = 0; x < side; x++) for (let c = 0; c < 3; c++) data[i++] = (7 * y + 3 * x + 50 * c + ((x * y) % 11) * 5) % 256;
  const worker = () => new Worker(new URL('./engine.js', import.meta.url), { type: 'module' });
  // A relative address is the page's, in the worker too.
  const model = await load(undefined, { weights: 'small.safetensors', backend: 'wasm', worker });
  const map = await model.extract({ data, width: side, height: side, channels: 3 }, 'relu2_2');
  const { name, sharedMemory, threads } = model.backend;
  model.dispose();
  return { backend: name, sharedMemory, threads, isolated: crossOriginIsolated, relu2_2: [...map.data] };
}

main().then(
  (result) => {
    window.result = result;
  },
  (error) => {
    window.result = { error: `${error.code}: ${error.message}` };
  },
);
