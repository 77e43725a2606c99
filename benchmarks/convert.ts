import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WRITERS } from '@vgg/loaders';
import { build } from 'esbuild';
import { median } from './support/median.js';
import { bigFile, bigTorchFile } from './weights/files.js';
import { writeByPython, writeCheckpoint, writeMatlab, writeTorchLegacy } from './weights/more-files.js';

/** fc6 of VGG-16, and what a conversion may take beside the largest tensor. */
const LARGEST = 4 * 25088 * 4096;
const BOUND = LARGEST + 64e6;

interface Result {
  seconds: number;
  peak: number;
}

/**
 * `node benchmarks/run.mjs convert [ROUNDS] [FOLDER]`: conversions of 553 MB files between all formats, each in a process of its own; the
 * median time, and the largest peak memory over the idle process against the bound of the largest tensor plus 64 MB. Files that take
 * long to make are kept in FOLDER; all others are removed.
 */
export async function main([rounds = '1', folder = join(tmpdir(), 'vgg-big-files')]: string[]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const root = fileURLToPath(new URL('..', import.meta.url));
  const work = mkdtempSync(join(folder, 'convert-'));
  const built = mkdtempSync(join(root, 'node_modules/.vgg-benchmark-'));
  try {
    const child = join(built, 'child.mjs');
    await build({
      entryPoints: [join(root, 'benchmarks/convert/child.ts')],
      outdir: built,
      entryNames: 'child',
      outExtension: { '.js': '.mjs' },
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      conditions: ['@vgg/source'],
      external: ['sharp', '@tensorflow/*', 'webgpu'],
      logLevel: 'error',
    });
    console.log('| from | to | seconds | peak memory, MB | of the bound of 475 MB |');
    console.log('|---|---|---|---|---|');
    const convert = (title: string, input: string, to: string, output: string, dtype = 'float32') => {
      const all: Result[] = [];
      for (let round = 0; round < Number(rounds); round++) {
        all.push(JSON.parse(execFileSync(process.execPath, [child, input, output, dtype], { encoding: 'utf8' })));
      }
      const seconds = median(all.map((result) => result.seconds));
      const peak = Math.max(...all.map((result) => result.peak));
      const share = `${((100 * peak) / BOUND).toFixed(0)} %${peak > BOUND ? ', too much' : ''}`;
      console.log(`| ${title} | ${to} | ${seconds.toFixed(1)} | ${(peak / 1e6).toFixed(0)} | ${share} |`);
    };
    const make = (name: string) => {
      const own = join(work, name);
      mkdirSync(own);
      return own;
    };
    const drop = (own: string) => rmSync(own, { recursive: true });
    const toSafetensors = (title: string, input: string, dtype?: string) => {
      const out = make('out');
      convert(title, input, dtype ? `safetensors ${dtype}` : 'safetensors', join(out, 'vgg16.safetensors'), dtype);
      drop(out);
    };

    const original = await bigFile(folder, 'safetensors');
    for (const dtype of [undefined, 'float16', 'int8', 'int4']) toSafetensors('safetensors', original, dtype);
    for (const { id, endings } of WRITERS.filter((writer) => writer.id !== 'safetensors')) {
      const own = make(id);
      const path = join(own, id === 'tfjs' ? 'model.json' : `vgg16.${endings[0]}`);
      convert('safetensors', original, id, path);
      toSafetensors(id, path);
      drop(own);
    }
    toSafetensors('pth', await bigTorchFile(folder));
    const python = (kind: 'npy' | 'npz' | 'h5') => async (path: string) => writeByPython(kind, original, path);
    const others: [title: string, name: string, write: (path: string) => Promise<unknown>][] = [
      ['pth of before 1.6', 'vgg16.pth', writeTorchLegacy],
      ['TensorFlow checkpoint', 'vgg16.index', writeCheckpoint],
      ['MATLAB 5, compressed', 'vgg16.mat', writeMatlab],
      ['npy of objects', 'vgg16.npy', python('npy')],
      ['npz, compressed', 'vgg16.npz', python('npz')],
      ['h5, chunked, gzip', 'vgg16.h5', python('h5')],
    ];
    for (const [title, name, write] of others) {
      const own = make('other');
      if ((await write(join(own, name))) === false) console.log(`| ${title} | skipped: no Python with h5py and numpy | | | |`);
      else toSafetensors(title, join(own, name));
      drop(own);
    }
  } finally {
    rmSync(built, { recursive: true, force: true });
    rmSync(work, { recursive: true, force: true });
  }
}
