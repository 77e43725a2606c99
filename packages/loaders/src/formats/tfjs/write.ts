import { VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES } from '../../dtype.js';
import { type OutputFile, singleType, type TensorToWrite, type WriteRequest, type Writer } from '../../writer.js';
import { kerasModel } from '../keras/model.js';
import { KERAS_BACKEND, KERAS_VERSION } from '../keras/write.js';
import { tensorBytes } from '../tensor-bytes.js';
import { SHA256_MEMBER } from './checked-shards.js';

/** As tensorflowjs_converter cuts them, so that browsers cache them. */
const SHARD = 4 * 2 ** 20;

/**
 * A tfjs layers-model that `tf.loadLayersModel` loads: `model.json` and shards of 4 MiB beside it (https://www.tensorflow.org/js/guide/save_load).
 * Metadata is its `userDefinedMetadata`. The group of weights has the sha256 of each of its shards, in the order of `paths`, which tfjs passes
 * over and our reader checks.
 */
export const tfjsWriter: Writer = {
  id: 'tfjs',
  title: 'TensorFlow.js layers model',
  endings: ['json'],
  dtypes: ['float32', 'float16'],
  write: writeTfjs,
};

function writeTfjs(request: WriteRequest): OutputFile[] {
  const { name, metadata, graph, sha256, signal } = request;
  const dtype = singleType(request, ['float32', 'float16'], 'tfjs');
  const grouped = graph?.layers.find((layer) => layer.kind === 'conv' && layer.groups !== 1);
  if (grouped)
    throw new VggError('VGG_OPTION', `tfjs: expected convolutions without groups, received "${grouped.name}"; write safetensors`);
  const { layers, config } = kerasModel(request, 'tfjs');
  const weights = layers.flatMap((layer) => layer.weights.map(({ name: part, tensor }) => ({ name: `${layer.name}/${part}`, tensor })));
  const bytes = weights.map(({ tensor }) => countOf(tensor.shape, 'tfjs') * DTYPE_BYTES[dtype]);
  const total = bytes.reduce((sum, length) => sum + length, 0);
  const count = Math.ceil(total / SHARD);
  const paths = Array.from({ length: count }, (_, i) => `group1-shard${i + 1}of${count}.bin`);
  const json = (hashes: readonly string[] | undefined) => ({
    format: 'layers-model',
    generatedBy: 'vgg',
    convertedBy: null,
    modelTopology: { keras_version: KERAS_VERSION, backend: KERAS_BACKEND, model_config: config },
    weightsManifest: [
      {
        paths,
        ...(hashes && { [SHA256_MEMBER]: hashes }),
        weights: weights.map(({ name: own, tensor: { shape } }) => ({
          ...{ name: own, shape, dtype: 'float32' },
          ...(dtype === 'float16' && { quantization: { dtype: 'float16', original_dtype: 'float32' } }),
        })),
      },
    ],
    ...(metadata && metadata.size > 0 && { userDefinedMetadata: Object.fromEntries(metadata) }),
  });
  const open = () => {
    const tensors = weights.map(({ tensor }) => tensor);
    return new Stream(tensors, bytes, dtype, signal);
  };
  const stream = open();
  const hashes = new Map<number, string>();
  async function* shard(i: number, from: Stream): AsyncGenerator<Uint8Array> {
    const hash = sha256?.();
    for await (const piece of from.slice(i * SHARD, Math.min(total, (i + 1) * SHARD))) {
      hash?.update(piece);
      yield piece;
    }
    if (hash) hashes.set(i, hash.digest());
  }
  /** Known once the shards are written. One that was not is made for its hash, apart from what may be in the course of being written. */
  async function allHashes(): Promise<string[]> {
    const own = open();
    for (let i = 0; i < count; i++) if (!hashes.has(i)) for await (const _ of shard(i, own));
    return paths.map((_, i) => hashes.get(i)!);
  }
  const shards = paths.map((path, i): OutputFile => ({ name: path, chunks: () => shard(i, stream) }));
  return [
    ...shards,
    {
      name,
      async *chunks() {
        yield new TextEncoder().encode(JSON.stringify(json(sha256 && (await allHashes()))));
      },
    },
  ];
}

/**
 * The tensors' bytes end to end. A tensor of a hundred shards is read once: its stream is kept from one shard to the next, as long as they are
 * asked for in order.
 */
class Stream {
  readonly #starts: number[] = [];
  #pieces: AsyncGenerator<Uint8Array> | undefined;
  /** Where the pieces still to come begin, and what is left of the last one. */
  #at = 0;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(
    readonly tensors: readonly TensorToWrite[],
    readonly bytes: readonly number[],
    readonly dtype: 'float32' | 'float16',
    readonly signal: AbortSignal | undefined,
  ) {
    let at = 0;
    for (const length of bytes) {
      this.#starts.push(at);
      at += length;
    }
  }

  async *slice(start: number, end: number): AsyncGenerator<Uint8Array> {
    if (!this.#pieces || this.#at !== start) await this.#seek(start);
    let isWhole = false;
    try {
      while (this.#at < end) {
        if (this.#rest.length === 0) {
          const { done, value } = await this.#pieces!.next();
          if (done) return;
          this.#rest = value;
        }
        const piece = this.#rest.subarray(0, end - this.#at);
        this.#rest = this.#rest.subarray(piece.length);
        this.#at += piece.length;
        yield piece;
      }
      // Behind the last byte the last tensor's number of values is checked.
      if (end === this.#starts.at(-1)! + this.bytes.at(-1)!) await this.#pieces!.next();
      isWhole = true;
    } finally {
      if (!isWhole) await this.#close();
    }
  }

  async #close(): Promise<void> {
    await this.#pieces?.return(undefined);
    this.#pieces = undefined;
  }

  async #seek(start: number): Promise<void> {
    await this.#close();
    const first = this.#starts.findLastIndex((at) => at <= start);
    this.#pieces = this.#from(first);
    this.#at = this.#starts[first]!;
    this.#rest = new Uint8Array(0);
    while (this.#at < start) {
      const { done, value } = await this.#pieces.next();
      if (done) return;
      const skipped = Math.min(value.length, start - this.#at);
      this.#rest = value.subarray(skipped);
      this.#at += skipped;
    }
  }

  async *#from(first: number): AsyncGenerator<Uint8Array> {
    for (const tensor of this.tensors.slice(first)) yield* tensorBytes(tensor, this.dtype, 'tfjs', this.signal);
  }
}
