import { existsSync } from 'node:fs';
import { mkdtemp, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { canonicalTensors, type FileGraph, type OutputFile, type TensorToWrite, type WeightSpec, WRITERS } from '@vgg/loaders';
import { zipFile } from '../../packages/loaders/src/formats/zip/write.js';
import { BLOCKS } from '../support/vgg16.js';

/** Weight files of VGG-16's real size (138,357,544 values, 553 MB), of pseudo-random values, made one tensor at a time. */

const DENSE = [4096, 4096, 1000];

const GRAPH: FileGraph = { name: 'vgg16', input: { channels: 3, height: 224, width: 224 }, layers: layersOf() };

/** The layer table, as readers want it. */
export const SPECS: readonly WeightSpec[] = GRAPH.layers.flatMap((layer): WeightSpec[] => {
  if (layer.kind === 'conv') return [{ name: layer.name, kind: 'conv', shape: [...layer.kernel, layer.in!, layer.out] }];
  if (layer.kind !== 'dense') return [];
  return [
    {
      name: layer.name,
      kind: 'dense',
      shape: [layer.in!, layer.out],
      ...(layer.name === 'fc6' && { flattenedFrom: [7, 7, 512] as const }),
    },
  ];
});

function layersOf(): FileGraph['layers'] {
  const layers: FileGraph['layers'][number][] = [];
  let channels = 3;
  for (const [b, block] of BLOCKS.entries()) {
    for (const [k, out] of block.entries()) {
      const place = `${b + 1}_${k + 1}`;
      layers.push({
        kind: 'conv',
        name: `conv${place}`,
        in: channels,
        out,
        kernel: [3, 3],
        stride: 1,
        pad: 1,
        dilation: 1,
        groups: 1,
        bias: true,
      });
      layers.push({ kind: 'relu', name: `relu${place}` });
      channels = out;
    }
    layers.push({ kind: 'pool', name: `pool${b + 1}`, pool: 'max', size: 2, stride: 2, pad: 0, rounding: 'floor' });
  }
  layers.push({ kind: 'flatten', name: 'flatten' });
  let inputs = 7 * 7 * channels;
  for (const [i, out] of DENSE.entries()) {
    layers.push({ kind: 'dense', name: `fc${6 + i}`, in: inputs, out, bias: true });
    if (i < DENSE.length - 1) layers.push({ kind: 'relu', name: `relu${6 + i}` });
    inputs = out;
  }
  layers.push({ kind: 'softmax', name: 'prob' });
  return layers;
}

/** Values in -0.05 ... 0.05 (xorshift: Marsaglia 2003, "Xorshift RNGs"). */
function draw(count: number, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = state * (0.05 / 2 ** 31);
  }
  return values;
}

export const count = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/**
 * Files for benchmarks that compute: VGG-16, or as far as a layer, with weights of He's deviation (He et al. 2015, arXiv:1502.01852), so that
 * activations keep their size, and biases of 0.
 */
export async function heFile(folder: string, id: string, last: string): Promise<string> {
  const writer = WRITERS.find((each) => each.id === id)!;
  const end = GRAPH.layers.findIndex(({ name }) => name === last) + 1;
  const layers = GRAPH.layers.slice(0, end);
  const wanted = SPECS.filter(({ name }) => layers.some((layer) => layer.name === name)).flatMap(canonicalTensors);
  const values = (name: string, shape: readonly number[]) => {
    if (shape.length === 1) return new Float32Array(shape[0]!);
    const fanIn = count(shape) / shape.at(-1)!;
    const factor = Math.sqrt(6 / fanIn) / 0.05; // of a uniform draw
    return draw(count(shape), 1 + wanted.findIndex((each) => each.name === name)).map((value) => value * factor);
  };
  return kept(folder, `vgg16-he-${last}.${writer.endings[0]}`, (making, name) =>
    write(
      making,
      writer.write({
        name,
        graph: { ...GRAPH, layers },
        tensors: wanted.map((each) => ({
          ...{ name: each.name, shape: each.shape, values: async () => values(each.name, each.shape) },
          async *stream() {
            yield values(each.name, each.shape);
          },
        })),
      }),
    ),
  );
}

/** The tensors in canonical layout. */
export function tensors(): TensorToWrite[] {
  return SPECS.flatMap(canonicalTensors).map(({ name, shape }, i) => ({
    name,
    shape,
    values: async () => draw(count(shape), i + 1),
    async *stream() {
      yield draw(count(shape), i + 1);
    },
  }));
}

export async function write(folder: string, files: readonly OutputFile[]): Promise<void> {
  for (const file of files) {
    const handle = await open(join(folder, file.name), 'w');
    let end = 0;
    for await (const chunk of file.chunks()) {
      const { bytes, at } = chunk instanceof Uint8Array ? { bytes: chunk, at: end } : chunk;
      for (let done = 0; done < bytes.length; ) {
        done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
      }
      if (chunk instanceof Uint8Array) end += chunk.length;
    }
    await handle.close();
  }
}

/** The file of a format that can be written, made once and kept in the folder. */
export async function bigFile(folder: string, id: string): Promise<string> {
  const writer = WRITERS.find((each) => each.id === id)!;
  return kept(folder, `vgg16.${writer.endings[0]}`, (making, name) =>
    write(making, writer.write({ name, graph: GRAPH, tensors: tensors() })),
  );
}

/** The same of a .pth. */
export async function bigTorchFile(folder: string): Promise<string> {
  return kept(folder, 'vgg16.pth', (making, name) => writeTorch(join(making, name)));
}

async function kept(folder: string, name: string, make: (making: string, name: string) => Promise<void>): Promise<string> {
  const path = join(folder, name);
  if (existsSync(path)) return path;
  const making = await mkdtemp(join(folder, 'making-'));
  await make(making, name);
  await rename(join(making, name), path);
  await rm(making, { recursive: true });
  console.log(`made ${path}`);
  return path;
}

/**
 * A zip-format .pth as torch.save writes a state dict: `archive/data.pkl`, a pickle of protocol 2 in which each tensor is
 * `torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())`, and each storage stored as `archive/data/KEY`.
 */
async function writeTorch(path: string): Promise<void> {
  const members = torchTensors().map(({ shape, values }, key) => ({
    name: `archive/data/${key}`,
    size: 4 * count(shape),
    async *chunks() {
      yield new Uint8Array(values().buffer);
    },
  }));
  const plain = (name: string, content: Uint8Array) => ({
    name,
    size: content.length,
    async *chunks() {
      yield content;
    },
  });
  const encode = (value: string) => new TextEncoder().encode(value);
  const files = [
    plain('archive/data.pkl', statePickle([])),
    plain('archive/byteorder', encode('little')),
    ...members,
    plain('archive/version', encode('3\n')),
  ];
  await write(dirname(path), [{ name: basename(path), chunks: zipFile(files) }]);
}

/** The state dict itself; `view` ends what each storage is known by, which in files before 1.6 has one part more. */
export function statePickle(view: readonly number[]): Uint8Array {
  const pickle = [0x80, 2, ...globalName('collections', 'OrderedDict'), 0x29, 0x52, 0x28];
  for (const [key, { name, shape }] of torchTensors().entries()) {
    const strides = shape.map((_, axis) => count(shape.slice(axis + 1)));
    pickle.push(...text(name), ...globalName('torch._utils', '_rebuild_tensor_v2'), 0x28, 0x28, ...text('storage'));
    pickle.push(...globalName('torch', 'FloatStorage'), ...text(String(key)), ...text('cpu'), ...int(count(shape)), ...view, 0x74, 0x51);
    pickle.push(...int(0), 0x28, ...shape.flatMap(int), 0x74, 0x28, ...strides.flatMap(int), 0x74, 0x89);
    pickle.push(...globalName('collections', 'OrderedDict'), 0x29, 0x52, 0x74, 0x52);
  }
  pickle.push(0x75, 0x2e);
  return Uint8Array.from(pickle);
}

export function torchTensors(): { name: string; shape: number[]; values(): Float32Array<ArrayBuffer> }[] {
  let module = 0;
  let dense = 0;
  return GRAPH.layers.flatMap((layer, seed) => {
    if (layer.kind === 'pool' || (layer.kind === 'relu' && !/^relu[67]$/.test(layer.name))) module++;
    if (layer.kind !== 'conv' && layer.kind !== 'dense') return [];
    const name = layer.kind === 'conv' ? `features.${module++}` : `classifier.${3 * dense++}`;
    const shape = layer.kind === 'conv' ? [layer.out, layer.in!, 3, 3] : [layer.out, layer.in!];
    return [
      { name: `${name}.weight`, shape, values: () => draw(count(shape), seed + 1) },
      { name: `${name}.bias`, shape: [layer.out], values: () => draw(layer.out, seed + 1001) },
    ];
  });
}

const globalName = (module: string, name: string): number[] => [0x63, ...new TextEncoder().encode(`${module}\n${name}\n`)];
const int = (value: number): number[] => [0x4a, value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
export function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value);
  return [0x58, ...int(bytes.length).slice(1), ...bytes];
}
