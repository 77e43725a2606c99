/** The stable codes of {@link VggError}; the command line turns them into exit codes. */
export type VggErrorCode =
  | 'VGG_ABORTED'
  | 'VGG_ARCHITECTURE'
  | 'VGG_BACKEND'
  | 'VGG_DATASET'
  | 'VGG_FORMAT'
  | 'VGG_HEAD'
  | 'VGG_INPUT'
  | 'VGG_INTEGRITY'
  | 'VGG_LAYER'
  | 'VGG_MEMORY'
  | 'VGG_NETWORK'
  | 'VGG_NOT_FOUND'
  | 'VGG_OPTION'
  | 'VGG_OUTPUT'
  | 'VGG_SHAPE'
  | 'VGG_WEIGHTS_MISSING';

/**
 * The one error class of the package: a sentence that says who, what was expected, what was received and what to do,
 * with a stable {@link VggErrorCode}.
 *
 * @example
 * try { await load('vgg16', { weights: 'notes.txt' }); } catch (error) { error.code; } // 'VGG_FORMAT'
 */
export class VggError extends Error {
  readonly code: VggErrorCode;
  constructor(code: VggErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'VggError';
    this.code = code;
  }
}

/** True for a {@link VggError}, from whichever copy of the package it came; with `code`, only for that one. */
export function isVggError(error: unknown, code?: VggErrorCode): error is VggError {
  const found = error instanceof Error && error.name === 'VggError' ? (error as VggError).code : undefined;
  return found !== undefined && (code === undefined || found === code);
}

/** The sentence of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Throws `VGG_ABORTED`, with the signal's reason as its cause, once the signal is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined, who: string): void {
  if (signal?.aborted) throw new VggError('VGG_ABORTED', `${who}: stopped by its AbortSignal`, { cause: signal.reason });
}

/** Where a long call stands: `loaded` of `total` (bytes, pictures or epochs, as the stage says). */
export interface Progress {
  /** `download`, `verify`, `read`, `decode`, `extract`, `train` … */
  stage: string;
  loaded: number;
  /** Unknown totals are left out. */
  total?: number;
  /** The file or picture in hand. */
  item?: string;
}

/** Receives {@link Progress}; called often, so it should return quickly. */
export type OnProgress = (progress: Progress) => void;
