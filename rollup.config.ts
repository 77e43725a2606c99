import { isBuiltin } from 'node:module';
import { basename, resolve } from 'node:path';
import commonjs from '@rollup/plugin-commonjs';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import type { Plugin, RollupOptions } from 'rollup';
import esbuild from 'rollup-plugin-esbuild';
import { inlined } from './scripts/inline.ts';

const root = 'packages/vgg';
const entries = {
  index: `${root}/src/index.ts`,
  core: `${root}/src/core.ts`,
  loaders: `${root}/src/loaders.ts`,
  'engine-worker': `${root}/src/worker/entry.ts`,
  'io.node': `${root}/src/io/node.ts`,
  'io.web': `${root}/src/io/web.ts`,
};

// The leaves (@vgg/*) are inlined; what a user installs beside us, and the platform, are not.
const external = (id: string) => /^(node:|#io$|@tensorflow\/|@noble\/|sharp$|webgpu$)/.test(id);
const compile = () => esbuild({ target: 'es2022', tsconfig: 'tsconfig.json' });
/** The weights inside the package are a file of their own, which the library and the page's folder share. */
const NETS = /\?base64$|^\0binary:/;
const sharedNets = (): Plugin => ({
  name: 'shared-nets',
  resolveId: (id) => (NETS.test(id) ? { id: resolve(root, 'dist/browser/nets', netFile(id)), external: 'relative' } : null),
});
/** compact.js for compact.safetensors. */
const netFile = (id: string) => `${basename(id).replace(/\..*$/, '')}.js`;
const resolveSource = () => nodeResolve({ exportConditions: ['@vgg/source'], extensions: ['.ts', '.js'] });

const library: RollupOptions = {
  input: { ...entries, cli: `${root}/src/cli/main.ts` },
  external,
  plugins: [sharedNets(), inlined(), resolveSource(), compile()],
  output: {
    dir: `${root}/dist`,
    format: 'es',
    chunkFileNames: 'chunks/[name]-[hash].js',
  },
};

/** Emscripten's code asks for Node's modules behind a test of the platform; a page must not see the imports. */
const withoutNode = (): Plugin => ({
  name: 'without-node',
  resolveId: (id) => (isBuiltin(id) ? '\0without-node' : null),
  load: (id) => (id === '\0without-node' ? 'export default {};' : null),
});

/** The worker of `worker: true` as a file of the folder, and its address where worker/address.ts has none. */
const workerAddress = (): Plugin => ({
  name: 'worker-address',
  load(id) {
    if (id !== resolve(root, 'src/worker/address.ts')) return null;
    const file = this.emitFile({ type: 'chunk', id: resolve(root, 'src/worker/entry.ts'), fileName: 'worker.js' });
    return `export const scriptAddress = () => import.meta.ROLLUP_FILE_URL_${file};`;
  },
});

/** One folder for a page without a bundler: everything inside, split so that a page loads only its backend. */
const page: RollupOptions = {
  input: { vgg: `${root}/src/index.ts` },
  plugins: [
    withoutNode(),
    workerAddress(),
    inlined(),
    nodeResolve({ browser: true, exportConditions: ['@vgg/source'], extensions: ['.ts', '.js'] }),
    commonjs(),
    esbuild({ target: 'es2022', minify: true, tsconfig: 'tsconfig.json' }),
  ],
  output: {
    dir: `${root}/dist/browser`,
    format: 'es',
    chunkFileNames: ({ facadeModuleId }) =>
      NETS.test(facadeModuleId ?? '') ? `nets/${netFile(facadeModuleId!)}` : 'chunks/[name]-[hash].js',
  },
  onwarn(warning, warn) {
    // tfjs's own CommonJS wrappers.
    if (warning.code === 'THIS_IS_UNDEFINED' || warning.code === 'EVAL' || warning.code === 'CIRCULAR_DEPENDENCY') return;
    warn(warning);
  },
};

/** The script of the threads, also as a file: for pages whose policy refuses the `blob:` address that it has by default. */
const worker: RollupOptions = {
  input: { worker: 'packages/core/src/kernels/wasm/threads/worker.ts' },
  plugins: [resolveSource(), esbuild({ target: 'es2022', minify: true, tsconfig: 'tsconfig.json' })],
  output: { dir: `${root}/dist`, format: 'iife' },
};

export default [library, page, worker];
