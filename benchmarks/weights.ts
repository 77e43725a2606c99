import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { median } from './support/median.js';
import { bigFile, bigTorchFile } from './weights/files.js';

interface Result {
  values: number;
  index?: number;
  total: number;
  peak: number;
}

/**
 * `node benchmarks/run.mjs weights [ROUNDS] [FOLDER]`: reads 553 MB files of each big format whole, in a process of its own each time, by ours and by
 * the libraries that read the same; medians, and the peak memory against the bytes asked for. Files are made in FOLDER once, and kept there.
 */
export async function main([rounds = '5', folder = join(tmpdir(), 'vgg-big-files')]: string[]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const root = fileURLToPath(new URL('..', import.meta.url));
  const files = await makeFiles(folder);
  // Beside node_modules, so that the peers are found.
  const built = mkdtempSync(join(root, 'node_modules/.vgg-benchmark-'));
  try {
    const outfile = join(built, 'child.mjs');
    await build({
      entryPoints: [join(root, 'benchmarks/weights/child.ts')],
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'node',
      conditions: ['@vgg/source'],
      external: ['h5wasm', 'protobufjs'],
      logLevel: 'error',
    });
    const runs = files.flatMap(({ format, path }) => [
      { format, path, reader: 'ours' },
      { format, path, reader: 'canonical' },
      ...(format === 'h5' ? [{ format, path, reader: 'h5wasm' }] : []),
      ...(format === 'caffemodel' ? [{ format, path, reader: 'protobufjs' }] : []),
    ]);
    const results = new Map<string, Result[]>();
    for (let round = 0; round <= Number(rounds); round++) {
      for (const { format, path, reader } of runs) {
        // A page cache that holds the file, as it does a second time.
        if (round === 0) readFileSync(path);
        // protobufjs takes 12 s and more: twice is enough.
        if (reader === 'protobufjs' && round > 2) continue;
        const output = execFileSync(process.execPath, ['--max-old-space-size=8192', outfile, reader, path], { encoding: 'utf8' });
        if (round > 0) results.set(`${format} ${reader}`, [...(results.get(`${format} ${reader}`) ?? []), JSON.parse(output)]);
      }
    }
    console.log('| format | reader | index, ms | all tensors, ms | peak memory, MB | times the values |');
    console.log('|---|---|---|---|---|---|');
    for (const { format, reader } of runs) {
      const all = results.get(`${format} ${reader}`)!;
      const values = median(all.map(({ values: count }) => count)) * 4;
      const index = all[0]!.index === undefined ? '' : median(all.map(({ index: ms }) => ms!)).toFixed(1);
      const peak = median(all.map(({ peak: bytes }) => bytes));
      const row = [
        format,
        reader,
        index,
        median(all.map(({ total }) => total)).toFixed(0),
        (peak / 1e6).toFixed(0),
        (peak / values).toFixed(2),
      ];
      console.log(`| ${row.join(' | ')} |`);
    }
  } finally {
    rmSync(built, { recursive: true, force: true });
  }
}

async function makeFiles(folder: string): Promise<{ format: string; path: string }[]> {
  const files: { format: string; path: string }[] = [];
  for (const format of ['safetensors', 'h5', 'onnx', 'caffemodel']) files.push({ format, path: await bigFile(folder, format) });
  return [...files, { format: 'pth (zip)', path: await bigTorchFile(folder) }];
}
