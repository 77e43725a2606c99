import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';

/** Compiled modules by entry file, with the source text they were made from. One process compiles a source once. */
const compiled = new Map<string, { source: string; base64: Promise<string> }>();

/**
 * A Rollup and Vite plugin that puts WebAssembly and weights into the bundle as base64 text, so that nobody who builds a page has to copy a file.
 * - `import bytes from './x.safetensors?base64'`: the file.
 * - `import bytes from 'wasm:PACKAGE/FILE.wasm'`: the file of a package.
 * - `import bytes from './x.ts?wasm'`: the AssemblyScript module x.ts, compiled here. It imports `env.memory`, shared (the loader clears
 *   the flag where the heap is not), and has SIMD; x.relaxed.ts has relaxed SIMD as well.
 * - `import text from './x.ts?script'`: the TypeScript module x.ts with all that it imports, as the text of a script that a worker can run.
 */
export function inlined() {
  const require = createRequire(import.meta.url);
  const file = '\0wasm:';
  const source = '\0assembly:';
  const script = '\0script:';
  const binary = '\0binary:';
  return {
    name: 'inlined',
    enforce: 'pre' as const,
    resolveId(id: string, importer: string | undefined) {
      if (id.startsWith('wasm:')) return file + id.slice(5);
      if (id.endsWith('?base64')) return binary + resolve(dirname(importer ?? '.'), id.slice(0, -'?base64'.length));
      const [, path, kind] = /^(.*)\.ts\?(wasm|script)$/.exec(id) ?? [];
      // Without the extension, or another plugin would take the text for TypeScript.
      return path === undefined ? null : (kind === 'wasm' ? source : script) + resolve(dirname(importer ?? '.'), path);
    },
    async load(this: { addWatchFile?(path: string): void } | undefined, id: string) {
      if (id.startsWith(file)) {
        const path = require.resolve(id.slice(file.length));
        return `export default ${JSON.stringify(await readFile(path, 'base64'))};`;
      }
      if (id.startsWith(binary)) {
        const path = id.slice(binary.length);
        this?.addWatchFile?.(path);
        return `export default ${JSON.stringify(await readFile(path, 'base64'))};`;
      }
      if (id.startsWith(script)) {
        const { text, files } = await bundleScript(`${id.slice(script.length)}.ts`);
        for (const path of files) this?.addWatchFile?.(path);
        return `export default ${JSON.stringify(text)};`;
      }
      if (!id.startsWith(source)) return null;
      const entry = `${id.slice(source.length)}.ts`;
      const base64 = await compileAssembly(entry, (path) => this?.addWatchFile?.(path));
      return `export default ${JSON.stringify(base64)};`;
    },
  };
}

async function bundleScript(entry: string): Promise<{ text: string; files: string[] }> {
  const { build } = await import('esbuild');
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: 'iife',
    target: 'es2022',
    platform: 'neutral',
  });
  return { text: outputFiles[0].text, files: Object.keys(metafile.inputs).map((path) => resolve(path)) };
}

/**
 * Compiles an AssemblyScript entry file to a module as base64 text. Its imports are files of the same folder.
 * @param onFile receives every source file of the folder, to be watched
 */
export async function compileAssembly(entry: string, onFile?: (path: string) => void): Promise<string> {
  const folder = dirname(entry);
  const names = (await readdir(folder)).filter((name) => name.endsWith('.ts')).sort();
  const files = new Map<string, string>();
  for (const name of names) {
    files.set(name, await readFile(join(folder, name), 'utf8'));
    onFile?.(join(folder, name));
  }
  const text = JSON.stringify([...files]);
  let found = compiled.get(entry);
  if (found?.source !== text) {
    found = { source: text, base64: compile(basename(entry), files) };
    compiled.set(entry, found);
  }
  return found.base64;
}

async function compile(entry: string, files: Map<string, string>): Promise<string> {
  const asc = (await import('assemblyscript/asc')).default;
  const output = 'out.wasm';
  let binary: Uint8Array | undefined;
  const options = [
    entry,
    ...['--outFile', output, '--optimizeLevel', '3', '--converge', '--noAssert', '--runtime', 'stub'],
    ...['--importMemory', '--noExportMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
    ...['--enable', 'simd', '--enable', 'bulk-memory', '--enable', 'threads'],
    ...(entry.endsWith('.relaxed.ts') ? ['--enable', 'relaxed-simd'] : []),
  ];
  const result = await asc.main(options, {
    readFile: (name) => files.get(name) ?? null,
    writeFile: (name, contents) => {
      if (name === output) binary = contents as unknown as Uint8Array;
    },
    listFiles: () => [],
  });
  if (result.error || !binary) throw new Error(`inlined: ${entry} does not compile\n${result.stderr.toString()}`, { cause: result.error });
  return Buffer.from(binary).toString('base64');
}
