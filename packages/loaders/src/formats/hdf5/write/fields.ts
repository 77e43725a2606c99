/** A structure's fields in order, little-endian: `[value, bytes]`, where -1 is all bits set (no address), or bytes as they are. */
export function pack(...fields: readonly (readonly [value: number, bytes: number] | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const length = fields.reduce((sum, field) => sum + (field instanceof Uint8Array ? field.length : field[1]), 0);
  const out = new Uint8Array(length);
  let at = 0;
  for (const field of fields) {
    if (field instanceof Uint8Array) {
      out.set(field, at);
      at += field.length;
      continue;
    }
    const [value, bytes] = field;
    if (value === -1) out.fill(255, at, at + bytes);
    else for (let i = 0, rest = value; i < bytes; i++, rest = Math.floor(rest / 256)) out[at + i] = rest % 256;
    at += bytes;
  }
  return out;
}

/** Four characters that a structure begins with. */
export const signature = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Zeros up to a multiple of eight, as version 1 object headers want their parts. */
export function padded(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(aligned(bytes.length));
  out.set(bytes);
  return out;
}

/** The next multiple of eight. */
export const aligned = (length: number): number => Math.ceil(length / 8) * 8;
