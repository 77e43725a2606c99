import { extname } from 'node:path';
import { io } from '#io';
import { encodePng } from '../pictures/encode-png.js';
import { pictureGrid, pictureGridSvg } from '../pictures/grid.js';
import type { ImageInput } from '../pictures/images.js';
import type { Picture } from '../pictures/picture.js';
import { resize } from '../pictures/resample.js';
import type { Context, Flag } from './command.js';
import { UsageError } from './exit.js';
import { plural } from './text.js';

export const GRID_FLAG = {
  type: 'string',
  value: 'FILE',
  about: 'a picture to write of all of them: .svg with a line under each, or .png',
} as const satisfies Flag;

/** Pixels of the longest side of a picture in a grid, and the most pictures. */
const SIDE = 128;
const MOST = 400;

/** A picture and what is said of it. */
export interface Titled {
  readonly input: ImageInput;
  readonly name: string;
  readonly title: string;
}

/** Refuses a file of another kind, before anything is computed. */
export function checkGrid(who: string, path: string | undefined): void {
  if (path !== undefined && !['.svg', '.png'].includes(extname(path).toLowerCase()))
    throw new UsageError(`${who} --grid: expected a file name ending in .svg or .png, received "${path}"`);
}

/** Writes small versions of pictures side by side, the first {@link MOST} of them. */
export async function writeGrid(path: string, all: readonly Titled[], { signal, warn }: Context): Promise<void> {
  const shown = all.slice(0, MOST);
  if (shown.length < all.length) warn(`${path}: the first ${MOST} of ${plural(all.length, 'picture')}`);
  const pictures: Picture[] = [];
  for (const { input, name } of shown) pictures.push(small(await io.decode(input, { name, signal })));
  const titles = shown.map(({ title }) => title);
  const isSvg = extname(path).toLowerCase() === '.svg';
  const bytes = isSvg
    ? new TextEncoder().encode(await pictureGridSvg(pictures, { titles, side: SIDE }))
    : await encodePng(pictureGrid(pictures));
  await io.writeFile(path, [bytes], { signal });
}

function small(picture: Picture): Picture {
  const scale = SIDE / Math.max(picture.width, picture.height);
  if (scale >= 1) return picture;
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale))) as [number, number];
  return resize(picture, width, height, 'bilinear');
}
