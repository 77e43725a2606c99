// What every engine must be able to do: import, load weights, those inside the package too, extract from pixels and from a PNG, one error.
// Prints one JSON document.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { load, VggError } from 'vgg';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

const side = 32;
const data = new Uint8Array(side * side * 3);
for (let y = 0, i = 0; y < side; y++)
  for (let x = 0; x < side; x++) for (let c = 0; c < 3; c++) data[i++] = (7 * y + 3 * x + 50 * c + ((x * y) % 11) * 5) % 256;

const model = await load(undefined, { weights: here('small.safetensors') });
const maps = await model.extract({ data, width: side, height: side, channels: 3 }, ['relu2_2', 'prob']);
const byPath = await model.extract(here('picture.png'), 'relu2_2');
const byBuffer = await model.extract(await readFile(here('picture.png')), 'relu2_2');
const refusal = await model.extract({ data, width: side, height: side, channels: 3 }, 'relu9_9').catch((error) => error);
const inside = await load();
const [likeliest] = await inside.classify(here('picture.png'));
inside.dispose();
const { name, threads, simd, reason } = model.backend;
model.dispose();
console.log(
  JSON.stringify({
    backend: { name, threads, simd, reason },
    shape: maps.relu2_2.shape,
    relu2_2: [...maps.relu2_2.data],
    prob: [...maps.prob.data],
    decoded:
      [...byPath.data].every((value, i) => value === maps.relu2_2.data[i]) &&
      [...byBuffer.data].every((value, i) => value === maps.relu2_2.data[i]),
    inside: { name: inside.weights.name, label: likeliest.label },
    refusal: refusal instanceof VggError ? refusal.code : String(refusal),
  }),
);
