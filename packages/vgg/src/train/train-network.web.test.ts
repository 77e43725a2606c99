import { describeResume } from '../../test/train/resume-spec.js';

const NAME = 'train-network-test';

describeResume(async () => ({
  target: NAME,
  remove: async () => {
    const runs = await (await navigator.storage.getDirectory()).getDirectoryHandle('vgg-runs');
    await runs.removeEntry(NAME, { recursive: true });
  },
}));
