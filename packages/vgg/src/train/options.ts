import { VggError } from '@vgg/errors';
import { didYouMean } from '../text/suggest.js';

/** Refuses an option: who, what was expected, what was received. */
export function wrongOption(who: string, name: string, expected: string, received: unknown): VggError {
  return new VggError('VGG_OPTION', `${who}: expected ${expected} as ${name}, received ${String(received)}`);
}

/** Bounds of a number; `below` is not reached itself. */
export interface Bounds {
  readonly least?: number;
  readonly most?: number;
  readonly above?: number;
  readonly below?: number;
  readonly whole?: boolean;
}

/** @throws VggError `VGG_OPTION` unless the value is a finite number within the bounds */
export function checkNumber(who: string, name: string, value: unknown, bounds: Bounds = {}): void {
  const { least = -Infinity, most = Infinity, above = -Infinity, below = Infinity, whole = false } = bounds;
  const isNumber = typeof value === 'number' && Number.isFinite(value) && (!whole || Number.isInteger(value));
  if (isNumber && value >= least && value <= most && value > above && value < below) return;
  const limits = [
    ...(least > -Infinity ? [`at least ${least}`] : []),
    ...(above > -Infinity ? [`above ${above}`] : []),
    ...(most < Infinity ? [`at most ${most}`] : []),
    ...(below < Infinity ? [`below ${below}`] : []),
  ].join(' and ');
  throw wrongOption(who, name, `a ${whole ? 'whole ' : ''}number${limits && ` ${limits}`}`, value);
}

/** @throws VggError `VGG_OPTION` unless the value is one of the words */
export function checkWord(who: string, name: string, value: unknown, words: readonly string[]): void {
  if (!words.includes(value as string)) throw wrongOption(who, name, words.join(' or '), value);
}

/** @throws VggError `VGG_OPTION` for an option that is none of the names, so that a mistyped one is not passed over */
export function checkNames(who: string, options: object, names: readonly string[]): void {
  const stray = Object.keys(options).find((name) => !names.includes(name));
  if (stray !== undefined) throw wrongOption(who, 'options', names.join(', '), `${stray.slice(0, 64)}${didYouMean(stray, names)}`);
}
