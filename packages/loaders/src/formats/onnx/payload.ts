import { throwIfAborted, turn, VggError } from '@vgg/errors';
import { bytesOf, concat } from '../../bytes.js';
import { countOf, DTYPE_BYTES, toFloat16 } from '../../dtype.js';
import { quantizeRowsInt8 } from '../../quantize.js';
import { type Reorder, unorder } from '../../reorder.js';
import type { TensorToWrite } from '../../writer.js';
import { bytesHead } from '../protobuf/encode.js';
import { PIECE } from '../tensors.js';
import { tensorHead } from './encode.js';
import { ELEMENT, GRAPH, TENSOR } from './schema.js';

/** How weights may be stored. */
export type WeightType = 'float32' | 'float16' | 'int8';

/** An initialiser to be written, its size known before its values. */
export interface Payload {
  readonly size: number;
  chunks(signal: AbortSignal | undefined): AsyncIterable<Uint8Array>;
}

/** An initialiser of the graph around bytes that come later. */
function payload(
  name: string,
  shape: readonly number[],
  type: number,
  length: number,
  values: (signal: AbortSignal | undefined) => AsyncIterable<Uint8Array>,
): Payload {
  const tensor = concat([tensorHead(name, shape, type), bytesHead(TENSOR.rawData, length)]);
  const head = concat([bytesHead(GRAPH.initializer, tensor.length + length), tensor]);
  return {
    size: head.length + length,
    async *chunks(signal) {
      yield head;
      yield* values(signal);
    },
  };
}

/** Whole numbers that an operation takes as an input. */
export function int64Payload(name: string, values: readonly number[]): Payload {
  const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return payload(name, [values.length], ELEMENT.int64, bytes.length, async function* () {
    yield bytes;
  });
}

/** Values of one axis, float32 and in the order they have. */
export function vectorPayload(tensor: TensorToWrite, name: string): Payload {
  const count = countOf(tensor.shape, name);
  return payload(name, [count], ELEMENT.float32, count * 4, async function* (signal) {
    let done = 0;
    for await (const piece of tensor.stream(signal ? { signal } : {})) {
      done += piece.length;
      if (done > count) break;
      yield bytesOf(piece);
    }
    if (done !== count) throw wrongCount(tensor, count, done);
  });
}

/**
 * Weights in ONNX's order of the axes, whose first is the output; int8 with one scale for each output behind them.
 *
 * @param order from ONNX's order to the tensor's
 */
export function weightPayloads(
  tensor: TensorToWrite,
  { name, shape, order, dtype, scales }: { name: string; shape: readonly number[]; order: Reorder; dtype: WeightType; scales: string },
): Payload[] {
  const count = countOf(shape, name);
  const outputs = shape[0]!;
  const row = count / outputs;
  const scale = new Float32Array(dtype === 'int8' ? outputs : 0);
  const stored = (values: Float32Array, first: number): ArrayBufferView => {
    if (dtype === 'float32') return values;
    if (dtype === 'float16') return toFloat16(values);
    const quantised = quantizeRowsInt8(values, values.length / row);
    scale.set(quantised.scales, first);
    return quantised.values;
  };
  const weights = payload(name, shape, ELEMENT[dtype], count * DTYPE_BYTES[dtype], async function* (signal) {
    const values = await tensor.values(signal ? { signal } : {});
    if (values.length !== count) throw wrongCount(tensor, count, values.length);
    let first = 0;
    for (const piece of unorder(values, order, PIECE)) {
      yield bytesOf(stored(piece, first));
      first += piece.length / row;
      await turn();
      throwIfAborted(signal, 'onnx');
    }
  });
  if (dtype !== 'int8') return [weights];
  const written = payload(scales, [outputs], ELEMENT.float32, outputs * 4, async function* () {
    yield bytesOf(scale);
  });
  return [weights, written];
}

function wrongCount({ name, shape }: TensorToWrite, expected: number, received: number): VggError {
  return new VggError('VGG_SHAPE', `onnx: expected ${expected} values for "${name}" [${shape}], received ${received}`);
}
