import { describe, expect, it } from 'vitest';
import { describeCheckpointFolder } from '../../test/train/checkpoint-folder-spec.js';
import { stateAfter } from '../../test/train/checkpoints.js';
import { readCheckpoint, writeCheckpoint } from './checkpoint.js';
import { CheckpointFolder } from './checkpoint-folder.js';

const NAME = 'checkpoint-folder-test';
const storage = () => navigator.storage.getDirectory();

describe("in the site's own storage, by name", () => {
  describeCheckpointFolder(async () => ({
    target: NAME,
    remove: async () => (await (await storage()).getDirectoryHandle('vgg-runs')).removeEntry(NAME, { recursive: true }),
  }));
});

describe('behind a handle', () => {
  describeCheckpointFolder(async () => ({
    target: await (await storage()).getDirectoryHandle(NAME, { create: true }),
    remove: async () => (await storage()).removeEntry(NAME, { recursive: true }),
  }));
});

it('a path is refused', async () => {
  await expect(CheckpointFolder.open('runs/first')).rejects.toMatchObject({ code: 'VGG_OUTPUT' });
});

it("a checkpoint is written to a file's handle, and read from the file", async () => {
  const folder = await storage();
  const handle = await folder.getFileHandle('checkpoint-test', { create: true });
  await writeCheckpoint(handle, stateAfter(2));
  const checkpoint = await readCheckpoint(await handle.getFile());
  expect(checkpoint.run).toEqual(stateAfter(2).run);
  await checkpoint.close();
  await folder.removeEntry('checkpoint-test');
});
