import { VggError } from '@vgg/errors';

/** The error for a tensor that a file does not name at all. */
export function absentTensor(who: string, name: string): VggError {
  return new VggError('VGG_WEIGHTS_MISSING', `${who}: expected tensor "${name}", and the file names none such`);
}
