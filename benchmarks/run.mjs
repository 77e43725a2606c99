// Runs a benchmark of this folder from the sources: node benchmarks/run.mjs conv3x3 [options]
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';

const [name, ...options] = process.argv.slice(2);
if (!/^[\w-]+$/.test(name ?? '')) throw new Error('benchmarks/run.mjs: expected the name of a benchmark, such as conv3x3');
const conditions = ['@vgg/source', 'node', 'import', 'default'];
const serve = (plugins) =>
  createServer({
    root: fileURLToPath(new URL('..', import.meta.url)),
    configFile: false,
    logLevel: 'warn',
    plugins,
    resolve: { conditions },
    ssr: { resolve: { conditions }, noExternal: [/@vgg\//] },
    server: { middlewareMode: true, ws: false, watch: null },
    optimizeDeps: { noDiscovery: true },
  });

// The plugin is TypeScript too, and loads its compiler late: its server stays open as long as it is used.
const tools = await serve([]);
const { inlined } = await tools.ssrLoadModule('/scripts/inline.ts');
const server = await serve([inlined()]);
try {
  await (await server.ssrLoadModule(`/benchmarks/${name}.ts`)).main(options);
} finally {
  await server.close();
  await tools.close();
}
