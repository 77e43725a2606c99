import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import commonjs from '@rollup/plugin-commonjs';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import { build as esbuild } from 'esbuild';
import { rollup } from 'rollup';
import { build as vite } from 'vite';
import webpack from 'webpack';
import type { Project } from './project.ts';

/**
 * Builds a page of the project into `out` as somebody would who read nothing but the bundler's first page; answers its warnings.
 * `entries` are the page's script, by default `page.js`, and for bundlers that do not find a worker by themselves its script.
 */
export type Bundle = (project: Project, out: string, entries?: readonly string[]) => Promise<string[]>;

const PAGE: readonly string[] = ['page.js'];
/** A page with one script. */
export const html = (script: string) =>
  `<!doctype html><meta charset="utf-8"><title>bundled</title><link rel="icon" href="data:,"><script type="module" src="${script}"></script>`;

/** A folder to serve: the page, and the weights beside it. No .wasm is copied. */
async function pageFolder(project: Project, out: string, script = 'page.js'): Promise<void> {
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'index.html'), html(script));
  await copyFile(project.path('small.safetensors'), join(out, 'small.safetensors'));
}

export const BUNDLERS: Record<string, Bundle> = {
  async esbuild(project, out) {
    await pageFolder(project, out);
    const { warnings } = await esbuild({
      entryPoints: [project.path('page.js')],
      outfile: join(out, 'page.js'),
      bundle: true,
      format: 'esm',
      minify: true,
      logLevel: 'silent',
    });
    return warnings.map(({ text }) => text);
  },

  async 'esbuild, split in chunks'(project, out, entries = PAGE) {
    await pageFolder(project, out, entries[0]);
    const { warnings } = await esbuild({
      entryPoints: entries.map((name) => project.path(name)),
      outdir: out,
      bundle: true,
      splitting: true,
      format: 'esm',
      minify: true,
      logLevel: 'silent',
    });
    return warnings.map(({ text }) => text);
  },

  async Rollup(project, out, entries = PAGE) {
    await pageFolder(project, out, entries[0]);
    const warnings: string[] = [];
    const bundle = await rollup({
      input: entries.map((name) => project.path(name)),
      plugins: [nodeResolve({ browser: true }), commonjs()],
      // tfjs's own modules: `this` at the top, and circles.
      onwarn: ({ code, message, id }) => {
        const theirs = (id ?? message).includes('@tensorflow') || code === 'CIRCULAR_DEPENDENCY';
        if (!theirs) warnings.push(message);
      },
    });
    await bundle.write({ dir: out, format: 'es' });
    await bundle.close();
    return warnings;
  },

  async 'webpack 5'(project, out, [entry] = PAGE) {
    await pageFolder(project, out);
    const stats = await new Promise<webpack.Stats>((resolve, reject) => {
      const compiler = webpack({
        mode: 'production',
        entry: project.path(entry!),
        context: project.folder,
        output: { path: out, filename: 'page.js' },
        performance: { hints: false },
        // Minifying takes terser most of a minute; esbuild's and Vite's builds here are minified.
        optimization: { minimize: false },
      });
      compiler.run((error, done) => compiler.close(() => (error || !done ? reject(error) : resolve(done))));
    });
    const { errors = [], warnings = [] } = stats.toJson({ all: false, errors: true, warnings: true });
    if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'));
    return warnings.map(({ message }) => message);
  },

  async Vite(project, out, [entry] = PAGE) {
    // Vite starts from a page of its own.
    await writeFile(project.path('index.html'), html(`./${entry}`));
    const warnings: string[] = [];
    // How long its plugins took depends on the machine.
    const note = (message: string) => void (message.includes('PLUGIN_TIMINGS') || warnings.push(message));
    await vite({
      root: project.folder,
      configFile: false,
      logLevel: 'warn',
      build: { outDir: out, emptyOutDir: true, chunkSizeWarningLimit: 100_000, reportCompressedSize: false },
      customLogger: { info() {}, warn: note, warnOnce: note, error: note, clearScreen() {}, hasErrorLogged: () => false, hasWarned: false },
    });
    await copyFile(project.path('small.safetensors'), join(out, 'small.safetensors'));
    return warnings;
  },
};
