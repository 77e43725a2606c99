import { VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES } from '../../dtype.js';
import { type OutputFile, singleType, type TensorToWrite, type WriteRequest, type Writer } from '../../writer.js';
import { tensorBytes } from '../tensor-bytes.js';
import { type ZipFile, zipFile } from '../zip/write.js';
import { npyHeader } from './npy.js';
import { METADATA } from './npz.js';

/**
 * NumPy's .npz, which `numpy.load(file, allow_pickle=False)` reads: each tensor an array under its name, the values at multiples of 64
 * bytes. Metadata is the text array `__metadata__`, a JSON object: `json.loads(str(npz['__metadata__']))`.
 */
export const npzWriter: Writer = {
  id: 'npz',
  title: 'NumPy archive',
  endings: ['npz'],
  dtypes: ['float32', 'float16'],
  write: writeNpz,
};

function writeNpz(request: WriteRequest): OutputFile[] {
  const { name, tensors, metadata, signal } = request;
  const dtype = singleType(request, ['float32', 'float16'], 'npz');
  if (tensors.some((tensor) => tensor.name === METADATA)) {
    throw new VggError('VGG_OPTION', `npz: expected tensors of other names than ${METADATA}, under which the archive has its metadata`);
  }
  const members = tensors.map((tensor) => arrayMember(tensor, dtype, signal));
  if (metadata && metadata.size > 0) members.push(textMember(METADATA, JSON.stringify(Object.fromEntries(metadata))));
  const chunks = zipFile(members, { signal });
  return [{ name, chunks }];
}

function arrayMember(tensor: TensorToWrite, dtype: 'float32' | 'float16', signal: AbortSignal | undefined): ZipFile {
  const { name, shape } = tensor;
  const count = countOf(shape, `npz: tensor "${name}"`);
  const header = npyHeader(shape, dtype === 'float16' ? '<f2' : '<f4');
  return {
    name: `${name}.npy`,
    size: header.length + count * DTYPE_BYTES[dtype],
    async *chunks() {
      yield header;
      yield* tensorBytes(tensor, dtype, 'npz', signal);
    },
  };
}

/** Text as numpy has it: four bytes a character. */
function textMember(name: string, text: string): ZipFile {
  const characters = Array.from(text, (character) => character.codePointAt(0)!);
  const header = npyHeader([], `<U${characters.length}`);
  const bytes = new Uint8Array(header.length + 4 * characters.length);
  bytes.set(header);
  const view = new DataView(bytes.buffer);
  for (const [i, code] of characters.entries()) view.setUint32(header.length + 4 * i, code, true);
  return {
    name: `${name}.npy`,
    size: bytes.length,
    async *chunks() {
      yield bytes;
    },
  };
}
