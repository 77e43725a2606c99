import { describe, expect, it } from 'vitest';
import { describeCheckpointFolder } from '../../test/train/checkpoint-folder-spec.js';
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
