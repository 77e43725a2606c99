import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { canonicalise, openWeights, readCanonical, type Source, type WeightFile } from '@vgg/loaders';
import { SPECS } from './files.js';

/**
 * One measurement in a process of its own: `node child.mjs WHAT FILE`; prints JSON. Times in ms, memory in bytes above what the process
 * held before it opened the file.
 */

/** The fields of a caffemodel that hold weights. */
const SCHEMA = `syntax = "proto2";
message Shape { repeated int64 dim = 1 [packed = true]; }
message Blob { repeated float data = 5 [packed = true]; optional Shape shape = 7; }
message Layer { optional string name = 1; optional string type = 2; repeated Blob blobs = 7; }
message Net { optional string name = 1; repeated Layer layer = 100; }`;

async function fileSource(path: string): Promise<Source> {
  const handle = await open(path);
  const { size } = await handle.stat();
  return {
    name: path.slice(path.lastIndexOf('/') + 1),
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const { bytesRead } = await handle.read(bytes, at, length - at, offset + at);
        if (bytesRead === 0) throw new Error(`${path}: ended early`);
        at += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

function resident(key: 'VmRSS' | 'VmHWM'): number {
  return 1024 * Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))![1]);
}

const [what, path] = process.argv.slice(2) as [string, string];
const base = resident('VmRSS');
const start = performance.now();
let result: { values: number; index?: number };
if (what === 'ours') result = await ours((file) => Promise.all([...file.tensors.keys()].map((name) => file.read(name))));
else if (what === 'canonical') result = await ours(canonical);
else if (what === 'h5wasm') result = await h5wasm();
else result = await protobuf();
console.log(JSON.stringify({ ...result, total: performance.now() - start, peak: resident('VmHWM') - base }));

async function ours(read: (file: WeightFile) => Promise<Float32Array[]>): Promise<{ values: number; index: number }> {
  const file = await openWeights(await fileSource(path));
  const index = performance.now() - start;
  const all = await read(file);
  const values = all.reduce((sum, { length }) => sum + length, 0);
  await file.close();
  return { values, index };
}

/** Every tensor in our own names and layout, kept. */
async function canonical(file: WeightFile): Promise<Float32Array[]> {
  const mapping = canonicalise(file, SPECS);
  const all: Float32Array[] = [];
  for (const name of mapping.tensors.keys()) all.push(await readCanonical(file, mapping, name));
  return all;
}

async function h5wasm(): Promise<{ values: number }> {
  const { default: h5 } = await import('h5wasm/node');
  await h5.ready;
  const file = new h5.File(path, 'r');
  const all: ArrayLike<number>[] = [];
  const walk = (group: { keys(): string[]; get(name: string): unknown }) => {
    for (const key of group.keys()) {
      const item = group.get(key) as { keys?(): string[]; get(name: string): unknown; value: ArrayLike<number> };
      if (item.keys) walk(item as Parameters<typeof walk>[0]);
      else all.push(item.value);
    }
  };
  walk(file as unknown as Parameters<typeof walk>[0]);
  return { values: all.reduce((sum, { length }) => sum + length, 0) };
}

async function protobuf(): Promise<{ values: number }> {
  const library = createRequire(import.meta.url)('protobufjs') as typeof import('protobufjs');
  const net = library.parse(SCHEMA).root.lookupType('Net').decode(readFileSync(path)) as unknown as {
    layer: { blobs: { data: ArrayLike<number> }[] }[];
  };
  return { values: net.layer.reduce((sum, { blobs }) => sum + blobs.reduce((inner, { data }) => inner + data.length, 0), 0) };
}
