import { io } from '#io';
import type { ImageInput } from '../pictures/images.js';
import type { TensorLike } from '../pictures/raw.js';
import { receiveError, sendError } from './errors.js';
import type { SentImage } from './messages.js';

/** A picture that the page sent, as an input for the model; with the name that it has in the page. */
export async function receiveImage(sent: SentImage): Promise<ImageInput> {
  const { kind } = sent;
  if (kind === 'encoded') return sent.image;
  if (kind === 'raw') return named(sent.image, sent.name);
  if (kind === 'tensor') {
    const { shape, dtype, values, name } = sent;
    return named({ shape, dtype, data: async () => values }, name);
  }
  if (kind === 'failed') return failing(sent, sent.name);
  const { image, name } = sent;
  try {
    return named({ ...(await io.decode(image, name === undefined ? {} : { name })), channels: 3 as const }, name);
  } catch (error) {
    return failing({ error: sendError(error) }, name);
  } finally {
    image.close();
  }
}

const named = <T extends object>(image: T, name: string | undefined): T => (name === undefined ? image : Object.assign(image, { name }));

/** Among others, a picture that cannot be read costs only itself: this one says why when its values are asked for. */
function failing({ error }: Pick<Extract<SentImage, { kind: 'failed' }>, 'error'>, name: string | undefined): TensorLike {
  const data = () => Promise.reject(receiveError(error));
  return named({ shape: [1, 1, 3], dtype: 'int32', data }, name);
}
