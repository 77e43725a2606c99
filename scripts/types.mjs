// The declarations of the published package: emitted by tsc into dist/types, with the inlined leaves (@vgg/*) named by their place there.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

const folder = 'packages/vgg/dist/types';
const { status } = spawnSync('npx', ['--no-install', 'tsc', '-p', 'tsconfig.types.json'], {
  stdio: 'inherit',
  shell: process.platform === 'win32',
});
if (status !== 0) process.exit(status ?? 1);

const leaves = ['errors', 'core', 'loaders'];
for (const name of readdirSync(folder, { recursive: true })) {
  if (!name.endsWith('.d.ts')) continue;
  const file = join(folder, name);
  const text = readFileSync(file, 'utf8');
  const resolved = text.replace(/(["'])@vgg\/(\w+)\1/g, (whole, quote, leaf) => {
    if (!leaves.includes(leaf)) throw new Error(`${file}: ${whole} is not published`);
    const path = relative(dirname(file), join(folder, leaf, 'src', 'index.js'))
      .split(sep)
      .join('/');
    return `${quote}${path.startsWith('.') ? path : `./${path}`}${quote}`;
  });
  // A declaration that is not there would make its types `any` at the user's, without a word.
  for (const [, specifier] of resolved.matchAll(/(?:from|import\()\s*["'](\.[^"']+)\.js["']/g)) {
    if (!existsSync(join(dirname(file), `${specifier}.d.ts`))) throw new Error(`${file}: ${specifier}.d.ts was not emitted`);
  }
  if (resolved !== text) writeFileSync(file, resolved);
}
