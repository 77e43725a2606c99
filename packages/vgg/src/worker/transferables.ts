/** The buffers of all typed arrays in a result, each once: they are moved and not copied. A view of a part of a buffer is copied. */
export function transferables(value: unknown, found: Set<ArrayBuffer> = new Set()): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteLength } = value;
    if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength) found.add(buffer);
  } else if (typeof value === 'object' && value !== null) {
    for (const each of Object.values(value)) transferables(each, found);
  }
  return [...found];
}
