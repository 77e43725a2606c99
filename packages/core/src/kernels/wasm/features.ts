/** What vector instructions the engine runs: none, the fixed 128-bit set, or also the relaxed one (fused multiply-add). */
export type Simd = 'none' | 'fixed' | 'relaxed';

interface Validator {
  validate(bytes: Uint8Array<ArrayBuffer>): boolean;
}

const ZERO_VECTOR = [0x41, 0x00, 0xfd, 0x0f]; // i32.const 0, i8x16.splat
const RELAXED_MADD = [0xfd, 0x85, 0x02]; // f32x4.relaxed_madd

/**
 * Asks the engine, not its name: a module of one function `() -> v128` is offered to `WebAssembly.validate`.
 * Source: the binary format of WebAssembly 3.0, sections 5.4 and 5.5.
 */
export function simdOf(wasm: Validator | undefined): Simd {
  if (!wasm) return 'none';
  if (!wasm.validate(vectorModule(ZERO_VECTOR))) return 'none';
  return wasm.validate(vectorModule([...ZERO_VECTOR, ...ZERO_VECTOR, ...ZERO_VECTOR, ...RELAXED_MADD])) ? 'relaxed' : 'fixed';
}

function vectorModule(body: number[]): Uint8Array<ArrayBuffer> {
  const code = [0x00, ...body, 0x0b]; // no locals, the body, end
  const section = [0x01, code.length, ...code];
  // biome-ignore format: one section a line
  return new Uint8Array([
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // magic and version
    0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b,       // type 0: () -> v128
    0x03, 0x02, 0x01, 0x00,                         // function 0 has type 0
    0x0a, section.length, ...section,
  ]);
}
