import { io } from '#io';
import type { Model } from '../model.js';
import { VERSION } from '../version.js';

/** Writes a text file, whole or not at all. @throws VggError `VGG_OUTPUT`, `VGG_ABORTED` */
export async function writeText(path: string, text: string, signal: AbortSignal): Promise<void> {
  async function* bytes() {
    yield new TextEncoder().encode(text);
  }
  await io.writeFile(path, bytes(), { signal });
}

/** What computed, for a report. */
export function versionsOf({ backend }: Pick<Model, 'backend'>): Record<string, string> {
  const { name, threads } = backend;
  return { vgg: VERSION, node: process.version, backend: threads ? `${name}, ${threads} ${threads === 1 ? 'thread' : 'threads'}` : name };
}
