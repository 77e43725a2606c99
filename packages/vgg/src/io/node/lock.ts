import { randomUUID } from 'node:crypto';
import { link, open, readFile, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { throwIfAborted } from '@vgg/errors';

export interface Lock {
  release(): Promise<void>;
}

/** A living holder touches its lock this often ... */
const BEAT = 5_000;
/** ... so one that was not touched for so long has no holder: its machine is down, or its process id went to another. */
const STALE = 60_000;
const POLL = 100;

/**
 * Waits until a lock file is this caller's. Another holder is waited for while it lives; the lock of one that died is taken over.
 * It works between processes of one machine, and, by the time of its last touch, on a shared folder.
 *
 * @throws VggError `VGG_ABORTED` while waiting
 */
export async function lock(path: string, { signal }: { signal?: AbortSignal } = {}): Promise<Lock> {
  const token = JSON.stringify({ pid: process.pid, host: hostname(), id: randomUUID() });
  for (;;) {
    throwIfAborted(signal, basename(path));
    if (await create(path, token)) break;
    if (!(await removeStale(path))) await new Promise((resolve) => setTimeout(resolve, POLL));
  }
  const beat = setInterval(() => void touch(path), BEAT);
  beat.unref();
  return {
    async release() {
      clearInterval(beat);
      // Never another's: ours may have been taken over while this process was stopped.
      if ((await read(path)) === token) await unlink(path).catch(() => {});
    },
  };
}

async function create(path: string, token: string): Promise<boolean> {
  // Written under another name and linked, so that nobody ever reads a lock without its holder.
  const temporary = `${path}.${randomUUID()}`;
  const handle = await open(temporary, 'wx');
  try {
    await handle.writeFile(token);
  } finally {
    await handle.close();
  }
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST') return false;
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'ENOSYS') return createWithoutLinks(path, token);
    throw error;
  } finally {
    await unlink(temporary).catch(() => {});
  }
}

/** For file systems without links: a reader may see the file before its content. */
async function createWithoutLinks(path: string, token: string): Promise<boolean> {
  try {
    await writeFile(path, token, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** True where the lock is gone, so that it can be tried for at once. */
async function removeStale(path: string): Promise<boolean> {
  const holder = await read(path);
  const touched = await stat(path).catch(() => undefined);
  if (holder === undefined || !touched) return true;
  if (isAlive(holder) && Date.now() - touched.mtimeMs < STALE) return false;
  const aside = `${path}.${randomUUID()}`;
  const moved = await rename(path, aside).then(
    () => true,
    () => false,
  );
  if (!moved) return true;
  // Two may have found it stale, and the other may have a new lock by now, which was moved: it goes back.
  if ((await read(aside)) !== holder) await link(aside, path).catch(() => {});
  await unlink(aside).catch(() => {});
  return true;
}

/** Of a process of another machine, or one that has just begun to write its lock, nothing is known: it is taken to live. */
function isAlive(holder: string): boolean {
  if (holder === '') return true;
  try {
    const { pid, host } = JSON.parse(holder) as { pid: number; host: string };
    if (host !== hostname()) return true;
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function read(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}
