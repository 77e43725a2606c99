// Begins a build: removes what an earlier one left, so that no stale chunk is packed, and puts in what every tarball has.
import { copyFileSync, rmSync } from 'node:fs';

rmSync('packages/vgg/dist', { recursive: true, force: true });
for (const file of ['README.md', 'LICENSE', 'CHANGELOG.md']) copyFileSync(file, `packages/vgg/${file}`);
