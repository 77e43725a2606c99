import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeResume } from '../../test/train/resume-spec.js';

describeResume(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vgg-runs-'));
  return { target: join(folder, 'run'), remove: () => rm(folder, { recursive: true }) };
});
