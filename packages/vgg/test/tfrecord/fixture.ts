/** By itself, since `new URL(..., import.meta.url)` is rewritten by the bundler that serves the tests. */
const HERE = import.meta.url;

/** A file that make_tfrecord.py wrote. */
export async function fixture(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(`fixtures/${name}`, HERE);
  if (url.protocol === 'file:') {
    const { readFile } = await import('node:fs/promises');
    return new Uint8Array(await readFile(url));
  }
  return new Uint8Array(await (await fetch(url)).arrayBuffer());
}
