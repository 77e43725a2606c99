import { bytesSource, type Source } from '@vgg/loaders';
import type { PublishedSet } from './published-sets.js';

/** The weights inside the package (nets/compact), which are a part of its code of their own, read when they are first asked for. */
export async function openEmbedded({ key }: PublishedSet): Promise<Source> {
  const { default: base64 } = await import('../../nets/compact/compact.safetensors?base64');
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return { ...bytesSource(bytes), name: key };
}
