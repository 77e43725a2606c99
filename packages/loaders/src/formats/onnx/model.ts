import { VggError } from '@vgg/errors';
import { pastLimit } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { corrupt, type Field } from '../protobuf/wire.js';
import { beginReading, isShort, type Reading, readFloats, readInts, readKeyValue, readName, walk } from './reading.js';
import { ATTRIBUTE, DIM, GRAPH, MODEL, NODE, SHAPE, TENSOR_TYPE, TYPE, VALUE } from './schema.js';
import { type Initialiser, inlineInitialiser, readInitialiser } from './tensor.js';

/** A VGG has 60 nodes, the largest published networks a few thousand; each costs some memory and time. */
const MAX_NODES = 2 ** 14;
const MAX_INITIALISERS = 2 ** 14;
/** Longest text of the metadata: a list of a thousand class names is 30 KB. */
const MAX_TEXT = 2 ** 20;

/** An operation of the graph. Its subgraphs (of If and Loop) are not looked into. */
export interface Node {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

interface Attribute {
  readonly float?: number;
  readonly int?: number;
  readonly text?: string;
  readonly floats: readonly number[];
  readonly ints: readonly number[];
  readonly tensor?: Initialiser;
}

/** A graph's input or output; sizes that are not told are undefined. */
export interface Value {
  readonly name: string;
  readonly shape: readonly (number | undefined)[] | undefined;
}

export interface Model {
  readonly producer: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly name: string;
  readonly nodes: readonly Node[];
  /** By name, those of Constant nodes too. */
  readonly initialisers: ReadonlyMap<string, Initialiser>;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/**
 * Reads all of a model but the values of its weights, which are skipped.
 * @throws VggError `VGG_FORMAT` if it has no graph, `VGG_INTEGRITY` if it is cut, corrupt or past a limit
 */
export async function readModel(source: Source, options: ReadOptions): Promise<Model> {
  const reading = beginReading(source, options);
  const metadata = new Map<string, string>();
  const producer: string[] = [];
  let graph: Field | undefined;
  for await (const field of walk(reading, 0, source.size)) {
    if (field.type !== 'bytes') continue;
    if (field.number === MODEL.graph) {
      if (graph) throw corrupt(source.name, 'two graphs');
      graph = field;
    } else if (field.number === MODEL.producerName || field.number === MODEL.producerVersion) {
      producer.push(await readName(reading, field));
    } else if (field.number === MODEL.metadata) {
      const [key, value] = await readKeyValue(reading, field, MAX_TEXT);
      metadata.set(key, value);
    }
  }
  if (!graph) throw new VggError('VGG_FORMAT', `${source.name}: expected an ONNX model with a graph, received one without`);
  return { ...(await readGraph(reading, graph)), metadata, producer: producer.join(' ').trim() };
}

async function readGraph(reading: Reading, graph: Field): Promise<Omit<Model, 'producer' | 'metadata'>> {
  const { source } = reading;
  const nodes: Node[] = [];
  const initialisers = new Map<string, Initialiser>();
  const inputs: Value[] = [];
  const outputs: Value[] = [];
  let name = '';
  const add = (initialiser: Initialiser) => {
    if (initialiser.name === '' || initialisers.has(initialiser.name)) {
      const shown = JSON.stringify(initialiser.name.slice(0, 80));
      throw new VggError('VGG_INTEGRITY', `${source.name}: expected each tensor to have a name of its own, received ${shown} again`);
    }
    initialisers.set(initialiser.name, initialiser);
    if (initialisers.size > MAX_INITIALISERS) throw pastLimit(source.name, `at most ${MAX_INITIALISERS} tensors`);
  };
  for await (const field of walk(reading, graph.start, graph.end)) {
    if (field.type !== 'bytes') continue;
    if (field.number === GRAPH.name) name = await readName(reading, field);
    else if (field.number === GRAPH.initializer) add(await readInitialiser(reading, field));
    else if (field.number === GRAPH.input) inputs.push(await readValue(reading, field));
    else if (field.number === GRAPH.output) outputs.push(await readValue(reading, field));
    else if (field.number === GRAPH.node) {
      const node = await readNode(reading, field);
      const constant = constantOf(node);
      if (constant) add(constant);
      else nodes.push(node);
      if (nodes.length > MAX_NODES) throw pastLimit(source.name, `at most ${MAX_NODES} nodes`);
    }
  }
  return { name, nodes, initialisers, inputs, outputs };
}

/** A Constant node is an initialiser in another place. */
function constantOf({ op, outputs, attributes }: Node): Initialiser | undefined {
  const name = outputs[0];
  if (op !== 'Constant' || name === undefined) return undefined;
  const tensor = attributes.get('value')?.tensor;
  if (tensor) return { ...tensor, name };
  for (const key of ['value_float', 'value_int'] as const) {
    const { float, int } = attributes.get(key) ?? {};
    const value = float ?? int;
    if (value !== undefined) return inlineInitialiser(name, [], [value]);
  }
  const list = attributes.get('value_floats')?.floats ?? attributes.get('value_ints')?.ints;
  return list && inlineInitialiser(name, [list.length], list);
}

async function readNode(reading: Reading, node: Field): Promise<Node> {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, Attribute>();
  let op = '';
  let name = '';
  for await (const field of walk(reading, node.start, node.end)) {
    if (field.type !== 'bytes') continue;
    if (field.number === NODE.input) inputs.push(await readName(reading, field));
    else if (field.number === NODE.output) outputs.push(await readName(reading, field));
    else if (field.number === NODE.name) name = await readName(reading, field);
    else if (field.number === NODE.opType) op = await readName(reading, field);
    else if (field.number === NODE.attribute) {
      const [key, attribute] = await readAttribute(reading, field);
      attributes.set(key, attribute);
    }
  }
  return { op, name, inputs, outputs, attributes };
}

async function readAttribute(reading: Reading, message: Field): Promise<[string, Attribute]> {
  const attribute: { -readonly [K in keyof Attribute]: Attribute[K] } = { floats: [], ints: [] };
  const floats: number[] = [];
  const ints: number[] = [];
  let name = '';
  for await (const field of walk(reading, message.start, message.end)) {
    const { number, type } = field;
    if (number === ATTRIBUTE.name && type === 'bytes') name = await readName(reading, field);
    else if (number === ATTRIBUTE.float && type === 'fixed32') attribute.float = (await readFloats(reading, field))[0]!;
    else if (number === ATTRIBUTE.int && type === 'varint') attribute.int = (await readInts(reading, field))[0]!;
    else if (number === ATTRIBUTE.string && type === 'bytes' && isShort(field)) attribute.text = await readName(reading, field);
    else if (number === ATTRIBUTE.tensor && type === 'bytes') attribute.tensor = await readInitialiser(reading, field);
    else if (number === ATTRIBUTE.floats && (type === 'bytes' || type === 'fixed32')) floats.push(...(await readFloats(reading, field)));
    else if (number === ATTRIBUTE.ints && (type === 'bytes' || type === 'varint')) ints.push(...(await readInts(reading, field)));
  }
  return [name, { ...attribute, floats, ints }];
}

async function readValue(reading: Reading, message: Field): Promise<Value> {
  let name = '';
  let shape: (number | undefined)[] | undefined;
  const at = async (place: Field, number: number, visit: (field: Field) => Promise<void>) => {
    for await (const field of walk(reading, place.start, place.end)) {
      if (field.number === number && field.type === 'bytes') await visit(field);
    }
  };
  for await (const field of walk(reading, message.start, message.end)) {
    if (field.type !== 'bytes') continue;
    if (field.number === VALUE.name) name = await readName(reading, field);
    if (field.number !== VALUE.type) continue;
    await at(field, TYPE.tensor, (tensor) =>
      at(tensor, TENSOR_TYPE.shape, async (dims) => {
        const sizes: (number | undefined)[] = [];
        await at(dims, SHAPE.dim, async (dim) => {
          let size: number | undefined;
          for await (const part of walk(reading, dim.start, dim.end)) {
            if (part.number === DIM.value && part.type === 'varint' && part.value > 0 && part.value < 2 ** 31) size = part.value;
          }
          reading.keep(8);
          sizes.push(size);
        });
        shape = sizes;
      }),
    );
  }
  return { name, shape };
}
