import { mkdir, writeFile } from 'node:fs/promises';
import { beforeAll, expect, test } from 'vitest';
import { expectSmoke } from './node-tests.ts';
import type { Project } from './support/project.ts';

/** Fetching four engines (400 MB) is for CI, and for those who ask. */
const wanted = Boolean(process.env.CI ?? process.env.VGG_MATRIX);
const platform = `${process.platform}-${process.arch}`;

interface Engine {
  readonly name: string;
  /** The npm package that carries the program; none of them needs its install script. */
  readonly install: string;
  readonly program: string;
  readonly args: readonly string[];
}

const ENGINES: readonly Engine[] = [
  { name: 'Node 22', install: `node22@npm:node-${platform}@22`, program: 'node22/bin/node', args: [] },
  { name: 'Node 24', install: `node24@npm:node-${platform}@24`, program: 'node24/bin/node', args: [] },
  { name: 'Bun', install: `@oven/bun-${platform}`, program: `@oven/bun-${platform}/bin/bun`, args: ['run'] },
  {
    name: 'Deno',
    install: `@deno/${platform}${process.platform === 'linux' ? '-glibc' : ''}`,
    program: `@deno/${platform}${process.platform === 'linux' ? '-glibc' : ''}/deno`,
    // sharp, which decodes pictures, is a native module: ffi.
    args: ['run', '--node-modules-dir=manual', '--allow-read', '--allow-env', '--allow-ffi'],
  },
];

export function engineTests(project: () => Project): void {
  const folder = () => project().path('engines');

  beforeAll(async () => {
    if (!wanted) return;
    await mkdir(folder());
    await writeFile(project().path('engines', 'package.json'), '{ "private": true }');
    const packages = ENGINES.map(({ install }) => install);
    const installed = await project().run(
      'npm',
      ['install', '--prefix', folder(), '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', ...packages],
      { timeout: 280_000 },
    );
    expect(installed.status, installed.stderr).toBe(0);
  }, 300_000);

  test.skipIf(!wanted).each(ENGINES)(
    '$name: loads, extracts, decodes, refuses (needs CI or VGG_MATRIX=1)',
    { timeout: 120_000 },
    async ({ program, args }) => {
      // Deno has WebGPU of its own, whose graphics driver complains where there is no such folder.
      const env = { XDG_RUNTIME_DIR: project().folder };
      expectSmoke(
        await project().run(project().path('engines', 'node_modules', program), [...args, 'smoke.mjs'], { timeout: 100_000, env }),
      );
    },
  );

  test.skipIf(!wanted).each(ENGINES)('$name: require', async ({ program, args }) => {
    const { status, stdout } = await project().run(project().path('engines', 'node_modules', program), [...args, 'required.cjs']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).parameters).toBe(138_357_544);
  });
}
