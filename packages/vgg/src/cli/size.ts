import { UsageError } from './exit.js';

/** Of pictures, in pixels. */
export interface PictureSize {
  height: number;
  width: number;
}

/** `N|HxW` of a flag, in pixels. */
export function sizeOf(flag: string, text: string | undefined): PictureSize | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d{1,5})(?:x(\d{1,5}))?$/i.exec(text.trim());
  if (!match || Number(match[1]) === 0 || Number(match[2] ?? 1) === 0)
    throw new UsageError(`${flag}: expected pixels such as 224 or 240x320 (height x width), received "${text}"`);
  return { height: Number(match[1]), width: Number(match[2] ?? match[1]) };
}
