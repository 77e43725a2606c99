// Removes what an earlier build left, so that no stale chunk is packed.
import { rmSync } from 'node:fs';

rmSync('packages/vgg/dist', { recursive: true, force: true });
