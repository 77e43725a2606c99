import { isVggError, VggError } from '@vgg/errors';
import { pastLimit } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { corrupt, type Field, fields } from '../protobuf/wire.js';
import { decodeField } from './binary.js';
import { type Blob, readBlob } from './blobs.js';
import { type CaffeLayer, readLayer } from './layers.js';
import type { Message, Value } from './message.js';
import { LAYER, LAYER_BLOBS, NET, OLD_LAYER, OLD_LAYER_BLOBS, OLDEST_LAYER } from './schema.js';

/** A layer of the binary form, with its weights. */
export interface BinaryLayer extends CaffeLayer {
  readonly blobs: readonly Blob[];
}

export interface BinaryNet {
  /** All but the layers. */
  readonly net: Message;
  readonly layers: readonly BinaryLayer[];
  /** `V1` for layers of the older form, `V2` of the newer. */
  readonly form: 'V1' | 'V2';
}

/** The deepest networks in Caffe's zoo have some two thousand. */
const MAX_LAYERS = 2 ** 14;
/** Fields and values of the whole file that are gone into; two thousand layers of twenty fields, four times over. */
const MAX_FIELDS = 2 ** 17;
/** A layer's name, and the messages of its parameters: some hundred bytes. */
const MAX_FIELD_BYTES = 2 ** 16;

/**
 * Reads the network and where its weights are, and passes over the weights.
 * @throws VggError `VGG_INTEGRITY` for a file that is cut (with the layer where it is), corrupt or past a limit, `VGG_FORMAT` for a form older than V1
 */
export async function readNet(source: Source, options: ReadOptions): Promise<BinaryNet> {
  const walk: Walk = { source, options, left: MAX_FIELDS };
  const net = new Map<string, Value[]>();
  const layers: BinaryLayer[] = [];
  let form: 'V1' | 'V2' = 'V2';
  try {
    for await (const field of fields(source, 0, source.size, options)) {
      const old = field.number === 2;
      if ((old || field.number === 100) && field.type === 'bytes') {
        if (layers.length >= MAX_LAYERS) throw pastLimit(source.name, `at most ${MAX_LAYERS} layers`);
        if (old) form = 'V1';
        layers.push(await readBinaryLayer(walk, field, old, layers.length));
      } else {
        await takeField(walk, field, NET, net, source.name);
      }
    }
  } catch (error) {
    if (!isVggError(error, 'VGG_INTEGRITY') || layers.length === 0) throw error;
    const last = layers.at(-1)!.name.slice(0, 80);
    throw new VggError('VGG_INTEGRITY', `${error.message}; the last whole layer is "${last}", number ${layers.length}`, { cause: error });
  }
  return { net: { line: 0, fields: net }, layers, form };
}

interface Walk {
  readonly source: Source;
  readonly options: ReadOptions;
  /** Fields that may still be gone into. */
  left: number;
}

async function readBinaryLayer(walk: Walk, { start, end }: Field, old: boolean, place: number): Promise<BinaryLayer> {
  const { source, options } = walk;
  const [schema, blobField] = old ? [OLD_LAYER, OLD_LAYER_BLOBS] : [LAYER, LAYER_BLOBS];
  const values = new Map<string, Value[]>();
  const blobs: Blob[] = [];
  let who: string | undefined;
  for await (const field of fields(source, start, end, options)) {
    if (field.number === blobField && field.type === 'bytes') {
      spend(walk);
      // Once: a layer may have a thousand inputs, and as many blobs.
      who ??= readLayer({ line: 0, fields: values }, old, place, source.name).who;
      blobs.push(await readBlob(source, field.start, field.end, `${who}, blob ${blobs.length + 1}`, options));
    } else if (old && field.number === OLDEST_LAYER) {
      throw new VggError(
        'VGG_FORMAT',
        `${source.name}: expected a Caffe model of 2014 or later, received the form of 2013; rewrite it with Caffe's upgrade_net_proto_binary`,
      );
    } else {
      await takeField(walk, field, schema, values, source.name);
    }
  }
  return { ...readLayer({ line: 0, fields: values }, old, place, source.name), blobs };
}

async function takeField(walk: Walk, field: Field, schema: typeof NET, into: Map<string, Value[]>, who: string): Promise<void> {
  const row = schema.find(([number]) => number === field.number);
  spend(walk);
  if (!row) return;
  const size = field.end - field.start;
  if (size > MAX_FIELD_BYTES) throw corrupt(who, `"${row[1]}" of ${size} bytes`);
  decodeField(field, await walk.source.read(field.start, size, walk.options), schema, into, who, () => spend(walk));
}

function spend(walk: Walk): void {
  if (--walk.left < 0) throw pastLimit(walk.source.name, `at most ${MAX_FIELDS} fields`);
}
