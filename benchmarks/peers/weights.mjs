import { readFileSync } from 'node:fs';

/** All tensors of a safetensors file by name: the length of the header in 8 bytes, the header as JSON, the values. */
export function readSafetensors(path) {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length));
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            shape,
            data_offsets: [from, to],
          },
        ]) => {
          const values = new Float32Array((to - from) / 4);
          new Uint8Array(values.buffer).set(bytes.subarray(8 + length + from, 8 + length + to));
          return [name, { shape, values }];
        },
      ),
  );
}
