import { VggError } from '@vgg/errors';

const IMPORT_SECTION = 2;
const MEMORY_SECTION = 5;
const HAS_MAXIMUM = 0x01;
const SHARED = 0x02;

/**
 * A copy of a WASM binary whose memory is declared shared, which one bit of its memory section says.
 * A shared memory must have a maximum. Source: WebAssembly 3.0, binary format of limits (flags 0x01 maximum, 0x02 shared).
 *
 * @throws VggError `VGG_BACKEND` when the bytes are no WASM module with a memory of its own
 */
export function shareMemory(binary: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(binary);
  const [count, limits] = unsigned(bytes, sectionAt(bytes, MEMORY_SECTION, 'declare no memory'));
  if (count !== 1) throw unusable(`they declare ${count} memories`);
  if ((bytes[limits] & HAS_MAXIMUM) === 0) throw unusable('their memory has no maximum');
  bytes[limits] |= SHARED;
  return bytes;
}

/**
 * The other way round, in place: clears the shared flag of a binary's one import, its memory.
 *
 * @throws VggError `VGG_BACKEND` when the bytes are no WASM module with an import
 */
export function unshareImport(bytes: Uint8Array): void {
  let [, at] = unsigned(bytes, sectionAt(bytes, IMPORT_SECTION, 'import nothing')); // how many: one
  for (const _ of ['module', 'name']) {
    const [length, text] = unsigned(bytes, at);
    at = text + length;
  }
  bytes[at + 1] &= ~SHARED; // behind the kind: memory
}

/** Where a section's content begins. */
function sectionAt(bytes: Uint8Array, wanted: number, otherwise: string): number {
  if (bytes.length < 8 || bytes[0] !== 0 || bytes[1] !== 0x61 || bytes[2] !== 0x73 || bytes[3] !== 0x6d)
    throw unusable('they are no WASM module');
  for (let at = 8; at < bytes.length; ) {
    const [length, body] = unsigned(bytes, at + 1);
    if (bytes[at] === wanted) return body;
    at = body + length;
  }
  throw unusable(`they ${otherwise}`);
}

function unusable(why: string): VggError {
  return new VggError('VGG_BACKEND', `wasm: expected the bytes of tfjs-backend-wasm's binary and ${why}; check wasmBinary and wasmUrl`);
}

/** An unsigned LEB128 number and the place after it. */
function unsigned(bytes: Uint8Array, at: number): [number, number] {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at];
  }
  throw unusable('they end in the middle of a number');
}
