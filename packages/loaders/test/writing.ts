import type { OutputFile, TensorToWrite } from '../src/index.js';

/** A tensor to be written, whose values come whole or, as a stream, in small pieces. */
export function toWrite(name: string, shape: readonly number[], values: Float32Array): TensorToWrite {
  return {
    name,
    shape,
    values: async () => values.slice(),
    async *stream() {
      for (let at = 0; at < values.length; at += 1000) yield values.slice(at, at + 1000);
    },
  };
}

/** The bytes of each file, patched, by name. */
export async function written(files: readonly OutputFile[]): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const all = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const file of files) {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    const patches: { at: number; bytes: Uint8Array }[] = [];
    for await (const chunk of file.chunks()) {
      if ('at' in chunk && !(chunk instanceof Uint8Array)) patches.push(chunk);
      else chunks.push((chunk as Uint8Array).slice());
    }
    const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
    for (const { at, bytes: over } of patches) bytes.set(over, at);
    all.set(file.name, bytes);
  }
  return all;
}
