import { isVggError, messageOf, VggError, type VggErrorCode } from '@vgg/errors';

/** An error on its way between a page and its worker: a structured clone would lose the class and the code. */
export interface SentError {
  /** Undefined for an error that is not the package's. */
  readonly code?: VggErrorCode;
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: SentError;
}

export function sendError(error: unknown): SentError {
  if (!(error instanceof Error)) return { name: 'Error', message: messageOf(error) };
  const { name, message, stack, cause } = error;
  return {
    name,
    message,
    ...(isVggError(error) && { code: error.code }),
    ...(stack !== undefined && { stack }),
    ...(cause !== undefined && { cause: sendError(cause) }),
  };
}

export function receiveError({ code, name, message, stack, cause }: SentError): Error {
  const options = cause && { cause: receiveError(cause) };
  if (code) return new VggError(code, message, options);
  const error = new Error(message, options);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
