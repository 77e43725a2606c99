import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openZip } from '../../src/formats/zip/index.js';
import { zipArchive } from '../../src/formats/zip-archive.js';
import { bytesSource, openWeights } from '../../src/index.js';
import { refuses } from '../helpers.js';
import { DATA } from '../shared-data.js';

const PICTURES = `${DATA}cifar10/test.zip`;
const TORCH = `${DATA}torch/cifar_net.pth`;

describe.skipIf(!existsSync(PICTURES) || !existsSync(TORCH))('shared/data', () => {
  test('cifar10/test.zip is an archive of pictures', async () => {
    const source = bytesSource(readFileSync(PICTURES), 'test.zip');
    await refuses(
      openWeights(source, { formats: [zipArchive] }),
      'VGG_FORMAT',
      /test\.zip: .* received one of 10000 pictures; unpack it first/,
    );
  });

  test('torch/cifar_net.pth has its members stored', async () => {
    const { entries } = await openZip(bytesSource(readFileSync(TORCH), 'cifar_net.pth'));
    expect(entries.size).toBe(16);
    expect([...entries.values()].every(({ stored }) => stored)).toBe(true);
    expect(entries.get('cifar_net/data/0')!.size).toBe(4 * 32 * 3 * 9);
  });
});
