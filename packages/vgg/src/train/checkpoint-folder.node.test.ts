import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { io } from '#io';
import { describeCheckpointFolder } from '../../test/train/checkpoint-folder-spec.js';
import { stateAfter } from '../../test/train/checkpoints.js';
import { readCheckpoint, writeCheckpoint } from './checkpoint.js';
import { CheckpointFolder } from './checkpoint-folder.js';

const made = async () => {
  const parent = await mkdtemp(join(tmpdir(), 'vgg-runs-'));
  return { parent, remove: () => rm(parent, { recursive: true }) };
};

describeCheckpointFolder(async () => {
  const { parent, remove } = await made();
  return { target: join(parent, 'runs', 'first'), remove };
});

it('what a killed process has left of a file is removed, and nothing else', async () => {
  const { parent, remove } = await made();
  const id = '01234567-89ab-cdef-0123-456789abcdef';
  const left = ['epoch-0002', 'epoch-0002-step-000003', 'best'].map((name) => `.${name}.safetensors.${id}.part`);
  const others = [`.other.safetensors.${id}.part`, '.epoch-0002.safetensors.part', 'epoch-0002.safetensors.part'];
  for (const name of [...left, ...others]) await writeFile(join(parent, name), 'half');
  const folder = await CheckpointFolder.open(pathToFileURL(parent));
  expect(folder.where).toBe(parent);
  expect(await folder.newest()).toBeUndefined();
  await folder.save(stateAfter(1));
  expect(await (await io.openFolder(parent)).list()).toEqual([...others, 'epoch-0001.safetensors'].sort());
  await remove();
});

it('a file in the place of the folder is refused', async () => {
  const { parent, remove } = await made();
  await writeFile(join(parent, 'file'), 'x');
  const folder = await CheckpointFolder.open(join(parent, 'file'));
  await expect(folder.save(stateAfter(1))).rejects.toMatchObject({ code: 'VGG_OUTPUT' });
  await expect(folder.list()).rejects.toMatchObject({ code: 'VGG_OUTPUT' });
  await remove();
});

it('a checkpoint is written to a path, and stays when another one fails there', async () => {
  const { parent, remove } = await made();
  const path = join(parent, 'run.safetensors');
  await writeCheckpoint(path, stateAfter(2));
  const failing = [{ name: 'mean.x', shape: [1], values: () => Promise.reject(new Error('lost')) }];
  await expect(writeCheckpoint(path, { ...stateAfter(3), optimizer: failing })).rejects.toThrow('lost');
  const checkpoint = await readCheckpoint(path);
  expect(checkpoint.name).toBe('run.safetensors');
  expect(checkpoint.run).toEqual(stateAfter(2).run);
  await checkpoint.close();
  expect(await (await io.openFolder(parent)).list()).toEqual(['run.safetensors']);
  await expect(readCheckpoint(join(parent, 'none'))).rejects.toMatchObject({ code: 'VGG_NOT_FOUND' });
  await remove();
});
