import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { picture, weightFile } from './small-vgg.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const apps = fileURLToPath(new URL('../apps/', import.meta.url));

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An empty project with the packed library installed in it, and the files of apps/ beside small weights and a picture. */
export interface Project {
  readonly folder: string;
  /** Names of the files in the tarball. */
  readonly files: readonly string[];
  run(command: string, args: readonly string[], options?: { timeout?: number; env?: Record<string, string> }): Promise<Finished>;
  path(...parts: string[]): string;
  remove(): Promise<void>;
}

/** Packs packages/vgg as `npm publish` would, and installs the tarball as a user would. The built dist is what is packed. */
export async function installProject(): Promise<Project> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'vgg-package-')));
  const project: Omit<Project, 'files'> = {
    folder,
    run: (command, args, options) => run(command, args, { cwd: folder, ...options }),
    path: (...parts) => join(folder, ...parts),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
  try {
    const packed = await run(npm, ['pack', '--json', '--pack-destination', folder], { cwd: join(root, 'packages/vgg') });
    if (packed.status !== 0) throw new Error(`npm pack failed: ${packed.stderr}`);
    const [{ filename, files }] = JSON.parse(packed.stdout) as [{ filename: string; files: { path: string }[] }];
    await writeFile(
      project.path('package.json'),
      JSON.stringify({ private: true, type: 'module', dependencies: { vgg: `file:${filename}` } }),
    );
    await writeFile(project.path('package-lock.json'), JSON.stringify(await lock(filename)));
    const installed = await project.run(npm, ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'], {
      timeout: 150_000,
    });
    if (installed.status !== 0) throw new Error(`npm install failed: ${installed.stderr}`);
    for (const name of ['smoke.mjs', 'required.cjs', 'silent.mjs', 'page.js', 'worker-page.js', 'engine.js', 'types.ts'])
      await copyFile(join(apps, name), project.path(name));
    await writeFile(project.path('small.safetensors'), weightFile());
    const { data, width, height, channels } = picture();
    await sharp(data, { raw: { width, height, channels } }).png().toFile(project.path('picture.png'));
    await mkdir(project.path('built'));
    return { ...project, files: files.map(({ path }) => path) };
  } catch (error) {
    await project.remove();
    throw error;
  }
}

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

/** The repository's own lock, with the tarball in place of the workspace: what `npm ci` fetched is enough, and no newer version slips in. */
async function lock(tarball: string): Promise<object> {
  const { packages, lockfileVersion } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8'));
  const { version, dependencies, bin, peerDependencies, peerDependenciesMeta } = JSON.parse(
    await readFile(join(root, 'packages/vgg/package.json'), 'utf8'),
  );
  const library = { version, resolved: `file:${tarball}`, dependencies, bin, peerDependencies, peerDependenciesMeta };
  const wanted = Object.entries(packages as Record<string, { link?: boolean }>).filter(
    ([path, entry]) => path.startsWith('node_modules/') && !entry.link,
  );
  return {
    lockfileVersion,
    requires: true,
    packages: { '': { dependencies: { vgg: `file:${tarball}` } }, 'node_modules/vgg': library, ...Object.fromEntries(wanted) },
  };
}

/** Runs a program to its end; a program that outlives the timeout has status -1. */
async function run(
  command: string,
  args: readonly string[],
  options: { cwd: string; timeout?: number; env?: Record<string, string> },
): Promise<Finished> {
  // What npm and vitest put into the environment must not reach the programs under test.
  const inherited = Object.entries(process.env).filter(([name]) => !/^(npm_|VITEST|NODE_OPTIONS|NODE_ENV|VGG_|VK_)/.test(name));
  const env = { ...Object.fromEntries(inherited), NO_COLOR: '1', ...options.env };
  const settings = { cwd: options.cwd, env, timeout: options.timeout ?? 60_000, killSignal: 'SIGKILL' as const, maxBuffer: 64 * 2 ** 20 };
  try {
    const { stdout, stderr } = await promisify(execFile)(command, [...args], settings);
    return { status: 0, stdout, stderr };
  } catch (error) {
    const {
      code,
      stdout = '',
      stderr = '',
      message,
    } = error as { code?: number | string | null; stdout?: string; stderr?: string; message: string };
    return { status: typeof code === 'number' ? code : -1, stdout, stderr: stderr || message };
  }
}
