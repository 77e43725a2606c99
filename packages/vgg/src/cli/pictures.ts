import { abortable, VggError } from '@vgg/errors';
import type { Skipped } from '../data/photographs.js';
import { listImages } from '../io/node/folders.js';
import type { ImageInput } from '../pictures/images.js';
import type { Context } from './command.js';
import { UsageError } from './exit.js';
import { plural } from './text.js';

/** The pictures that a command line names. */
export interface Pictures {
  /** Their paths and URLs, `-` for standard input, as results call them. */
  readonly names: readonly string[];
  readonly inputs: readonly ImageInput[];
  /** What was passed over: files of folders and globs that are no photographs, globs that match nothing. */
  readonly skipped: readonly Skipped[];
}

/** An input that failed, as results list it. */
export interface Failure {
  readonly image: string;
  readonly code: string;
  readonly message: string;
}

export const failure = (image: string, { code, message }: VggError): Failure => ({ image, code, message });

/** For the help of every command that takes pictures. */
export const IMAGES_HELP =
  'IMAGES are files, folders (their photographs, subfolders included), globs ("photos/**/*.jpg"), URLs, or - for one picture on standard input.';

/**
 * The pictures that arguments name, in their order. A file that is not there stays in the list: it fails in its turn, beside the good ones.
 * @throws VggError `VGG_NOT_FOUND` if there is none at all
 */
export async function pictures(args: readonly string[], { stdin, signal, warn }: Context): Promise<Pictures> {
  const { images, skipped } = await listImages(args, { signal });
  if (images.length === 0) {
    const why = skipped.slice(0, 3).map(({ name, reason }) => `${name}: ${reason}`);
    throw Object.assign(
      new VggError(
        'VGG_NOT_FOUND',
        `${args.join(' ')}: expected pictures, received none (${why.join('; ')}${skipped.length > 3 ? '; ...' : ''})`,
      ),
      { details: { skipped } },
    );
  }
  warnOfSkipped(skipped, warn);
  const inputs: ImageInput[] = [];
  for (const image of images) inputs.push(image === '-' ? await allOf(stdin, signal) : image);
  return { names: images, inputs, skipped };
}

export function warnOfSkipped(skipped: readonly Skipped[], warn: Context['warn']): void {
  const shown = 5;
  for (const { name, reason } of skipped.slice(0, shown)) warn(`skipped ${name}: ${reason}`);
  if (skipped.length > shown) warn(`and ${plural(skipped.length - shown, 'more file')} skipped`);
}

/** Far above any photograph, and below what would fill the memory of a small machine. */
const MAX_STDIN = 512 * 2 ** 20;

async function allOf(stdin: Context['stdin'], signal: AbortSignal): Promise<Uint8Array> {
  if (!stdin) throw new UsageError('-: expected a picture on standard input, received none');
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of stoppable(stdin, signal)) {
    size += piece.length;
    if (size > MAX_STDIN)
      throw new VggError('VGG_INPUT', `-: expected a picture of at most ${MAX_STDIN} bytes on standard input, received more`);
    pieces.push(piece);
  }
  if (size === 0) throw new VggError('VGG_INPUT', '-: expected a picture on standard input, received nothing');
  return new Uint8Array(Buffer.concat(pieces));
}

/** The same pieces; an abort is seen although nobody writes. */
async function* stoppable(pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await abortable(iterator.next(), signal, '-');
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // A stream that is read no more would keep the process alive.
    if (signal.aborted) (pieces as { destroy?: () => void }).destroy?.();
  }
}

/**
 * What a run over pictures ends with: 0 where all went well, 3 where some did. Where none did, there is no result: the error of the
 * first is thrown, and the list of all goes with it into the JSON document.
 */
export function exitFor(done: number, failed: readonly Failure[]): 0 | 3 {
  if (failed.length === 0) return 0;
  if (done > 0) return 3;
  const [{ code, message }] = failed;
  const sentence = failed.length === 1 ? message : `none of ${failed.length} pictures could be used; the first: ${message}`;
  throw Object.assign(new VggError(code as VggError['code'], sentence), { details: { failed } });
}

/** The failed inputs, for people. */
export function failedText(failed: readonly Failure[]): string {
  return failed.map(({ image, message, code }) => `failed: ${message.includes(image) ? '' : `${image}: `}${message} [${code}]`).join('\n');
}
