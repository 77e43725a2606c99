import { isVggError, VggError, type VggErrorCode } from '@vgg/errors';

/** Exit codes, as the help lists them. */
export const EXIT = { done: 0, failure: 1, usage: 2, partial: 3, integrity: 4, backend: 5, interrupted: 130 } as const;

export const EXIT_MEANING: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.done, 'done'],
  [EXIT.failure, 'failed'],
  [EXIT.usage, 'the command line is wrong'],
  [EXIT.partial, 'done, but some inputs failed (they are listed)'],
  [EXIT.integrity, 'a file is truncated, corrupt or not the published one'],
  [EXIT.backend, 'the asked backend is not there'],
  [EXIT.interrupted, 'interrupted'],
];

/** A mistake in the command line itself. */
export class UsageError extends VggError {
  constructor(message: string, code: VggErrorCode = 'VGG_OPTION') {
    super(code, message);
  }
}

/** The exit code of a thrown value. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (!isVggError(error)) return EXIT.failure;
  switch (error.code) {
    case 'VGG_OPTION':
    case 'VGG_LAYER':
      return EXIT.usage;
    case 'VGG_INTEGRITY':
      return EXIT.integrity;
    case 'VGG_BACKEND':
      return EXIT.backend;
    case 'VGG_ABORTED':
      return EXIT.interrupted;
    default:
      return EXIT.failure;
  }
}
