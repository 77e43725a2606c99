import { crc32c } from '../../src/formats/crc.js';
import { masked } from '../../src/formats/tf-checkpoint/table.js';

const FOOTER = 48;

/**
 * A TensorFlow checkpoint's index with the sums of its blocks put right, since a mutation would else go no further than them: the block of
 * the tensors, which reaches from the beginning to the next one, and the two that the footer names.
 */
export function repairTable(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice();
  let at = out.length - FOOTER;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = out[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128 || scale > 2 ** 42) return value;
    }
  };
  const [metaStart, metaSize, indexStart, indexSize] = [varint(), varint(), varint(), varint()];
  for (const [start, size] of [
    [0, metaStart - 5],
    [metaStart, metaSize],
    [indexStart, indexSize],
  ] as const) {
    const end = start + size;
    if (!(size >= 0 && end + 5 <= out.length)) continue;
    out[end] = 0;
    new DataView(out.buffer).setUint32(end + 1, masked(crc32c(out.subarray(start, end + 1))), true);
  }
  return out;
}
