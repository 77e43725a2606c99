import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, createDeflate } from 'node:zlib';
import { concat } from '../../packages/loaders/src/bytes.js';
import { crc32c } from '../../packages/loaders/src/formats/crc.js';
import { bytesField, numberField, varint } from '../../packages/loaders/src/formats/protobuf/encode.js';
import { masked } from '../../packages/loaders/src/formats/tf-checkpoint/table.js';
import { count, statePickle, tensors, text, torchTensors, write } from './files.js';

/** Files of formats that are only read, of VGG-16's real size; each maker writes what stands at the path and what belongs beside it. */

/** A .pth as torch.save wrote it before 1.6: five pickles, and behind them each storage with its number of values. */
export async function writeTorchLegacy(path: string): Promise<void> {
  const all = torchTensors();
  const magic = [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
  const version = [0x80, 2, 0x4d, 0xe9, 0x03, 0x2e];
  const machine = [0x80, 2, 0x7d, 0x2e];
  const keys = [0x80, 2, 0x5d, 0x28, ...all.flatMap((_, key) => text(String(key))), 0x65, 0x2e];
  async function* chunks() {
    yield concat([Uint8Array.from([...magic, ...version, ...machine]), statePickle([0x4e]), Uint8Array.from(keys)]);
    for (const { shape, values } of all) {
      yield new Uint8Array(BigInt64Array.of(BigInt(count(shape))).buffer);
      yield new Uint8Array(values().buffer);
    }
  }
  await write(dirname(path), [{ name: basename(path), chunks }]);
}

/** A TensorFlow checkpoint of the second version: `path` is its index, a table of one block (LevelDB's doc/table_format.md). */
export async function writeCheckpoint(path: string): Promise<void> {
  const all = tensors().map((tensor) => ({ ...tensor, key: tensor.name.replace('.weight', '/weights').replace('.bias', '/biases') }));
  const entries: [string, Uint8Array][] = [['', concat([numberField(1, 1), bytesField(3, numberField(1, 1))])]];
  let at = 0;
  for (const { key, shape } of all) {
    const dims = concat(shape.map((size) => bytesField(2, numberField(1, size))));
    const size = 4 * count(shape);
    entries.push([key, concat([numberField(1, 1), bytesField(2, dims), numberField(4, at), numberField(5, size)])]);
    at += size;
  }
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  const data = block(entries);
  const meta = block([]);
  const handle = (start: number, length: number) => concat([varint(start), varint(length)]);
  const index = block([['~', handle(0, data.length - 5)]]);
  const places = concat([handle(data.length, meta.length - 5), handle(data.length + meta.length, index.length - 5)]);
  const footer = new Uint8Array(48);
  footer.set(places);
  footer.set([0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb], 40);
  async function* values() {
    for (const tensor of all) yield* tensor.stream();
  }
  await write(dirname(path), [
    {
      name: `${basename(path, '.index')}.data-00000-of-00001`,
      async *chunks() {
        for await (const { buffer } of values()) yield new Uint8Array(buffer);
      },
    },
    {
      name: basename(path),
      async *chunks() {
        yield concat([data, meta, index, footer]);
      },
    },
  ]);
}

/** Keys in full, the one place where they begin anew, no compression, and the sum. */
function block(entries: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const encode = (key: string) => new TextEncoder().encode(key);
  const parts = entries.flatMap(([key, value]) => [varint(0), varint(key.length), varint(value.length), encode(key), value]);
  const contents = concat([...parts, Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, 0)]);
  const sum = new Uint8Array(Uint32Array.of(masked(crc32c(contents))).buffer);
  return concat([contents, sum]);
}

/** A MATLAB 5 file of compressed variables, `conv1_1_W` and so on (MAT-File Format, The MathWorks). */
export async function writeMatlab(path: string): Promise<void> {
  const handle = await open(path, 'w');
  const head = new Uint8Array(128).fill(0x20, 0, 116);
  head.set(new TextEncoder().encode('MATLAB 5.0 MAT-file'));
  head.set([0, 1, 0x49, 0x4d], 124);
  await handle.write(head);
  let at = head.length;
  const element = (type: number, bytes: Uint8Array) => {
    const out = new Uint8Array(8 + Math.ceil(bytes.length / 8) * 8);
    out.set(new Uint8Array(Uint32Array.of(type, bytes.length).buffer));
    out.set(bytes, 8);
    return out;
  };
  for (const { name, shape, values } of tensors()) {
    const variable = new TextEncoder().encode(name.replace('.weight', '_W').replace('.bias', '_b'));
    const sizes = new Uint8Array(Int32Array.from(shape.length === 1 ? [1, ...shape] : shape).buffer);
    const bytes = 4 * count(shape);
    const parts = [element(6, Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0)), element(5, sizes), element(1, variable)];
    const inner = concat([...parts, new Uint8Array(Uint32Array.of(7, bytes).buffer)]);
    const outer = new Uint8Array(Uint32Array.of(14, inner.length + Math.ceil(bytes / 8) * 8).buffer);
    const deflate = createDeflate({ level: constants.Z_BEST_SPEED });
    deflate.write(outer);
    deflate.write(inner);
    deflate.write(new Uint8Array((await values()).buffer as ArrayBuffer));
    deflate.end(new Uint8Array(-bytes & 7));
    let packed = 0;
    for await (const chunk of deflate) {
      await handle.write(chunk, 0, chunk.length, at + 8 + packed);
      packed += chunk.length;
    }
    await handle.write(new Uint8Array(Uint32Array.of(15, packed).buffer), 0, 8, at);
    at += 8 + packed;
  }
  await handle.close();
}

/** What Python's own programs write: `npy` (a pickled dict), `npz` (compressed) or `h5` (chunks, gzip). False where they are not installed. */
export function writeByPython(kind: 'npy' | 'npz' | 'h5', from: string, path: string): boolean {
  const script = fileURLToPath(new URL('more_files.py', import.meta.url));
  for (const python of ['python3', '/usr/bin/python3']) {
    try {
      execFileSync(python, ['-c', 'import h5py, numpy'], { stdio: 'ignore' });
    } catch {
      continue;
    }
    execFileSync(python, [script, kind, from, path], { stdio: 'inherit' });
    return true;
  }
  return false;
}
