import { VggError } from '@vgg/errors';
import { concat } from '../../bytes.js';
import type { OutputFile, WriteRequest, Writer } from '../../writer.js';
import { bytesField, bytesHead, numberField } from '../protobuf/encode.js';
import { assemble } from './assemble.js';
import { entryBytes } from './encode.js';
import { GRAPH, MODEL, OPSET, PRODUCER } from './schema.js';

/** Of 2021 (ONNX 1.10): old enough for every runtime in use, new enough for int8 with a scale for each channel, which came with opset 13. */
const IR_VERSION = 8;
const OPSET_VERSION = 13;
/** Readers of protobuf take no message longer than this. */
const MAX_SIZE = 2 ** 31 - 1;

/**
 * ONNX that onnxruntime runs: input `input` [batch, channels, height, width], the output named by the last layer, the weights under their
 * canonical names with filters OIHW and dense weights [out, in], whose rows after a flatten are in the order C, H, W.
 *
 * float16 and int8 are for weights of two or more axes, which the graph turns into float32 itself (Cast, or DequantizeLinear with one
 * scale for each output channel); biases and the parts of batch normalisations stay float32, since they are few and their range is wide.
 */
export const onnxWriter: Writer = {
  id: 'onnx',
  title: 'ONNX',
  endings: ['onnx'],
  dtypes: ['float32', 'float16', 'int8'],
  write: writeOnnx,
};

function writeOnnx(request: WriteRequest): OutputFile[] {
  const { graph, metadata = new Map<string, string>(), signal } = request;
  const { nodes, payloads, values } = assemble(request);
  const before = concat([...nodes, bytesField(GRAPH.name, graph?.name || PRODUCER)]);
  const after = concat(values);
  const length = before.length + after.length + payloads.reduce((sum, { size }) => sum + size, 0);
  // What a reader wants to know first stands before the graph, so that the head of the file tells it.
  const head = concat([
    numberField(MODEL.irVersion, IR_VERSION),
    bytesField(MODEL.producerName, PRODUCER),
    bytesField(MODEL.opsetImport, concat([bytesField(OPSET.domain, ''), numberField(OPSET.version, OPSET_VERSION)])),
    ...[...metadata].map(([key, value]) => bytesField(MODEL.metadata, entryBytes(key, value))),
    bytesHead(MODEL.graph, length),
    before,
  ]);
  const size = head.length - before.length + length;
  if (size > MAX_SIZE) {
    throw new VggError(
      'VGG_OPTION',
      `onnx: expected a file of at most ${MAX_SIZE} bytes, received ${size}; write float16, int8 or safetensors`,
    );
  }
  return [
    {
      name: request.name,
      async *chunks() {
        yield head;
        for (const payload of payloads) yield* payload.chunks(signal);
        yield after;
      },
    },
  ];
}
