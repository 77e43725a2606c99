import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

/**
 * A Rollup and Vite plugin: `import bytes from 'wasm:PACKAGE/FILE.wasm'` gives the file's bytes as base64 text inside the bundle,
 * so that nobody who builds a page has to copy a .wasm file.
 */
export function wasmInline() {
  const require = createRequire(import.meta.url);
  const prefix = '\0wasm:';
  return {
    name: 'wasm-inline',
    enforce: 'pre' as const,
    resolveId(id: string) {
      return id.startsWith('wasm:') ? prefix + id.slice(5) : null;
    },
    async load(id: string) {
      if (!id.startsWith(prefix)) return null;
      const bytes = await readFile(require.resolve(id.slice(prefix.length)));
      return `export default ${JSON.stringify(bytes.toString('base64'))};`;
    },
  };
}
