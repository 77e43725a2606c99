// `npm run check`: everything that can be said about the code without running it. Needs `npm run build` first.
import { spawnSync } from 'node:child_process';

const checks = [
  ['types', ['tsc', '-p', '.']],
  ['format, lint, undeclared imports, import cycles', ['biome', 'ci', '--error-on-warnings', '.']],
  ['unused code and dependencies', ['knip', '--no-progress']],
  ['package metadata', ['publint', 'packages/vgg', '--strict']],
  ['types in the tarball', ['attw', '--pack', 'packages/vgg', '--profile', 'esm-only', '--quiet']],
  ['size budget', ['node', 'scripts/size.mjs']],
];

let failed = false;
for (const [name, [command, ...args]] of checks) {
  const run = command === 'node' ? [process.execPath, args] : ['npx', ['--no-install', command, ...args]];
  const { status, stdout, stderr } = spawnSync(...run, {
    encoding: 'utf8',
    shell: process.platform === 'win32',
    env: { ...process.env, NO_COLOR: '1' },
  });
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'}  ${name}`);
  if (status !== 0) {
    failed = true;
    console.log(`${stdout}\n${stderr}`.trim());
  }
}
process.exitCode = failed ? 1 : 0;
