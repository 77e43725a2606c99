import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import h5wasm from 'h5wasm/node';
import { expect, test } from 'vitest';
import { openHdf5 } from '../../src/formats/hdf5/file.js';
import { readTree } from '../../src/formats/hdf5/tree.js';
import { bytesSource } from '../../src/index.js';

test('attributes past 64 KB, which lie in a heap of their own', async () => {
  await h5wasm.ready;
  const folder = mkdtempSync(join(tmpdir(), 'vgg-hdf5-')); // the library writes to the disk
  const path = join(folder, 'huge.h5');
  const file = new h5wasm.File(path, 'w', { libver: 'latest' });
  const numbers = Float64Array.from({ length: 20_000 }, (_, i) => i / 4);
  for (let i = 0; i < 12; i++) file.create_attribute(`small ${i}`, i);
  file.create_attribute('huge', numbers);
  file.create_attribute(
    'huge too',
    numbers.map((value) => -value),
  );
  file.close();
  const bytes = readFileSync(path);
  rmSync(folder, { recursive: true });
  const opened = await openHdf5(bytesSource(new Uint8Array(bytes), 'huge.h5'));
  const attributes = (await readTree(opened)).groups.get('')!;
  expect(attributes.get('small 11')).toBe(11);
  expect(attributes.get('huge')).toEqual([...numbers]);
  expect((attributes.get('huge too') as number[]).at(-1)).toBe(-19_999 / 4);
});
