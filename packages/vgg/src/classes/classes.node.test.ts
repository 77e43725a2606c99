import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { io as node } from '#io';
import { nodeCache } from '../io/node/cache.js';
import { IMAGENET_CLASSES } from '../weights/published-sets.js';
import { classNames } from './classes.js';

let folder: string;
let io: typeof node;
let warnings: string[];
const onWarning = (message: string) => void warnings.push(message);
const offline = { offline: true };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-classes-'));
  io = { ...node, cache: nodeCache(() => folder), setting: () => undefined };
  warnings = [];
});
afterEach(() => rm(folder, { recursive: true }));

describe('classNames', () => {
  it('from a file, bytes, names, or as they are', async () => {
    const named = [
      { index: 0, label: 'ants' },
      { index: 1, label: 'bees' },
    ];
    await writeFile(join(folder, 'names.txt'), 'ants\nbees\n');
    expect(await classNames(join(folder, 'names.txt'), 2, undefined, { io })).toEqual(named);
    expect(await classNames(new TextEncoder().encode('["ants", "bees"]'), 2, undefined, { io })).toEqual(named);
    expect(await classNames(['ants', 'bees'], 2, undefined, { io })).toEqual(named);
    expect(await classNames(named, 2, undefined, { io })).toEqual(named);
  });

  it('as many as there are outputs', async () => {
    await expect(classNames(['ants'], 2, undefined, { io })).rejects.toMatchObject({
      code: 'VGG_OPTION',
      message: 'classes: expected 2 names, one for each output, received 1',
    });
  });

  it('in a suspicious order: a warning', async () => {
    await classNames(new TextEncoder().encode('n02119789 kit fox\nn02100735 English setter'), 2, undefined, { io, onWarning });
    expect(warnings).toEqual([expect.stringContaining('ILSVRC development kit')]);
  });

  it('of other nets than those of ImageNet there are none, and nothing is asked for', async () => {
    const fetch = () => Promise.reject(new Error('asked for'));
    expect(await classNames(undefined, 2622, undefined, { io, fetch, onWarning })).toBeUndefined();
    expect(warnings).toEqual([]);
  });

  it('without a network: none, with a warning', async () => {
    expect(await classNames(undefined, 1000, undefined, { io, ...offline, onWarning })).toBeUndefined();
    expect(warnings).toEqual([
      expect.stringMatching(/^classes go by their index: ImageNet class names: expected it in .* since offline was asked for/),
    ]);
  });

  it('other bytes than the published ones are not believed', async () => {
    const list = JSON.stringify(Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [index, `class ${index}`]))).padEnd(
      IMAGENET_CLASSES.bytes!,
    );
    expect(createHash('md5').update(list).digest('hex')).not.toBe(IMAGENET_CLASSES.hash!.value);
    const fetch = async () => new Response(list);
    expect(await classNames(undefined, 1000, { classes: 1000 }, { io, fetch, onWarning })).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('the md5 hash is another')]);
  });

  it('an abort is one, and not a lack of names', async () => {
    await expect(classNames(undefined, 1000, undefined, { io, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'VGG_ABORTED',
    });
  });
});
