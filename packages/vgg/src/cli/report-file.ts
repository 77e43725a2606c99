import { access, constants, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { VggError } from '@vgg/errors';
import { io } from '#io';
import { pathOf } from '../io/node/path.js';
import type { Model } from '../model.js';
import { VERSION } from '../version.js';

/** Writes a text file, whole or not at all. @throws VggError `VGG_OUTPUT`, `VGG_ABORTED` */
export async function writeText(path: string, text: string, signal: AbortSignal): Promise<void> {
  async function* bytes() {
    yield new TextEncoder().encode(text);
  }
  await io.writeFile(path, bytes(), { signal });
}

/**
 * Looks whether a file can be written, before what goes into it is computed.
 *
 * @param who the option that names it
 * @throws VggError `VGG_OUTPUT`
 */
export async function checkWritable(who: string, target: string): Promise<void> {
  const path = resolve(pathOf(target));
  if ((await kindAt(path)) === 'folder') throw refused(who, 'the path of a file', `the folder ${target}`, 'add a name');
  await checkFolder(who, dirname(path), target);
}

/** As {@link checkWritable}, for a folder that is made with those above it when its first file is written. */
export async function checkWritableFolder(who: string, target: string): Promise<void> {
  let path = resolve(pathOf(target));
  while ((await kindAt(path)) === undefined) path = dirname(path);
  await checkFolder(who, path, target);
}

async function checkFolder(who: string, folder: string, target: string): Promise<void> {
  const kind = await kindAt(folder);
  if (kind === undefined) throw refused(who, 'a folder that is there', `${target}, and there is no ${folder}`, 'make that folder first');
  if (kind === 'file') throw refused(who, 'a folder', `${target}, and ${folder} is a file`, 'choose another place');
  await access(folder, constants.W_OK | constants.X_OK).catch((cause: NodeJS.ErrnoException) => {
    throw refused(who, 'a folder that can be written', `${target}, and ${folder} cannot (${cause.code})`, 'choose another place', cause);
  });
}

async function kindAt(path: string): Promise<'folder' | 'file' | undefined> {
  return stat(path).then(
    (found) => (found.isDirectory() ? 'folder' : 'file'),
    () => undefined,
  );
}

function refused(who: string, expected: string, received: string, remedy: string, cause?: Error): VggError {
  return new VggError('VGG_OUTPUT', `${who}: expected ${expected}, received ${received}; ${remedy}`, { cause });
}

/** What computed, for a report. */
export function versionsOf({ backend }: Pick<Model, 'backend'>): Record<string, string> {
  const { name, threads } = backend;
  return { vgg: VERSION, node: process.version, backend: threads ? `${name}, ${threads} ${threads === 1 ? 'thread' : 'threads'}` : name };
}
