import { latin1 } from '../../bytes.js';
import type { Format } from '../../format.js';
import { openArrays } from './object-npy.js';

/** PROTO, then a dict, a list, or the frame of protocol 4 and 5; earlier protocols have no PROTO. */
const BEGINNINGS = [
  '\x80\x02}',
  '\x80\x02ccollections\n',
  '\x80\x03}',
  '\x80\x04\x95',
  '\x80\x05\x95',
  '\x80\x02]',
  '\x80\x03]',
  '(dp',
  '(lp',
];

/** A plain pickle of NumPy arrays in dicts and lists, such as `{'conv1_1_W': array, ...}`, as `pickle.dump` writes it. */
export const pickledArrays: Format = {
  id: 'pickle',
  title: 'pickled NumPy arrays',
  match(head) {
    const latin = latin1(head.subarray(0, 16));
    return BEGINNINGS.some((beginning) => latin.startsWith(beginning)) && !isTorchMagic(latin);
  },
  open: (source, options = {}) => openArrays(source, 0, 'pickle', options),
};

/** A PyTorch file of protocol 4 begins with its magic number in a frame. */
function isTorchMagic(latin: string): boolean {
  return latin.charCodeAt(11) === 0x8a;
}
