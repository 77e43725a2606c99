// What is in a weight file of any format, how it wants its pictures, and the same weights as safetensors.
//   node examples/node/weights.mjs                                makes a tiny network to look at
//   node examples/node/weights.mjs FILE|URL|NAME [OUT]            your own: vgg16.pth, VGG_ILSVRC_16_layers.caffemodel, vgg16.oxford ...
import { createWriteStream } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { compareWeights, convert, inspect } from 'vgg';
import { writeSafetensors } from 'vgg/loaders';

/** Two convolutions and a dense layer for pictures of 8 x 8, with PyTorch's names and shapes: [out, in, 3, 3] and [out, in]. */
async function makeTiny(path) {
  const shapes = { 'features.0': [4, 3, 3, 3], 'features.3': [6, 4, 3, 3], 'classifier.0': [5, 24] };
  const fill = (shape) => Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i));
  const tensors = Object.entries(shapes).flatMap(([layer, shape]) => [
    { name: `${layer}.weight`, shape, values: async () => fill(shape) },
    { name: `${layer}.bias`, shape: [shape[0]], values: async () => fill([shape[0]]) },
  ]);
  // Shapes do not show where the pools are: a plan says it, and the dense layers are read off the file.
  const metadata = { 'vgg.plan': JSON.stringify({ name: 'tiny', blocks: [[4], [6]], dense: [], classes: 5, size: 8 }) };
  await pipeline(Readable.from(writeSafetensors(tensors, metadata)), createWriteStream(path));
}

async function weights([given, out]) {
  const folder = given === undefined || out === undefined ? await mkdtemp(join(tmpdir(), 'vgg-weights-')) : '';
  const file = given ?? join(folder, 'tiny.safetensors');
  if (given === undefined) await makeTiny(file);

  // Only the index is read: a second at most, for half a gigabyte as for a kilobyte.
  const { format, network, problem, preprocessing, tensors, missing, reaches } = await inspect(file);
  console.log(`${file}: ${tensors.length} tensors, ${format}`);
  for (const { name, shape, dtype, present } of tensors) console.log(`  ${name} [${shape}] ${dtype}${present ? '' : ', missing'}`);
  if (!network) throw problem;
  console.log(`it is ${network.name}${network.top ? '' : ' without its dense layers'}, up to ${reaches}`);
  const { channelOrder, scale, mean, std } = preprocessing;
  console.log(`pictures as for ${preprocessing.name}: ${channelOrder.toUpperCase()} times ${scale.toFixed(4)}, minus ${mean}, over ${std}`);
  if (missing.length > 0) console.log(`missing: ${missing.join(', ')}`);

  // One tensor at a time is in memory. What is missing cannot be converted, but the layers before it can.
  const converted = await convert(file, out ?? join(folder, 'converted.safetensors'), missing.length > 0 ? { layers: [reaches] } : {});
  console.log(`wrote ${converted.output}: ${converted.tensors} tensors, ${converted.bytes} bytes`);
  const { ok, firstDifference, taps } = await compareWeights(file, converted.output);
  const { layer, tensor, reason } = firstDifference ?? {};
  console.log(ok ? `the same values, and the same maps at ${taps.length} layers` : `the same up to ${layer}: ${tensor ?? layer} ${reason}`);
}

try {
  await weights(process.argv.slice(2));
} catch (error) {
  console.error(`${error.message}${error.code ? ` [${error.code}]` : ''}`);
  process.exitCode = 1;
}
