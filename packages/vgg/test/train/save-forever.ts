import { CheckpointFolder } from '../../src/train/checkpoint-folder.js';
import { stateAfter } from './checkpoints.js';

// A process that does nothing but write checkpoints, from where the last one was, until it is killed. Its argument is the folder.
const folder = await CheckpointFolder.open(process.argv[2]!, { keep: 2 });
const found = await folder.newest();
await found?.close();
process.stdout.write('begun\n');
for (let epoch = (found?.run.epoch ?? 0) + 1; ; epoch++) await folder.save(stateAfter(epoch), { isBest: epoch % 3 === 0 });
