import { throwIfAborted } from '@vgg/errors';
import { latin1 } from '../../bytes.js';
import type { Format, WeightFile } from '../../format.js';
import { pastLimit, shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { cachedSource } from '../../sources/cached.js';
import { type Attribute, readAttributes } from '../hdf5/attributes.js';
import { type Dataset, readDataset, readingCost } from '../hdf5/dataset.js';
import { charge, findSuperblock, type Hdf5, openHdf5 } from '../hdf5/file.js';
import { MESSAGE, type Message, readHeader } from '../hdf5/header.js';
import { readLinks } from '../hdf5/links.js';
import { readValues, streamValues } from '../hdf5/values.js';
import { weightFile } from '../tensors.js';
import { MAX_DEPTH, MAX_SETTING, MAX_SETTING_COST, MAX_TEXT, MAX_VALUES } from './limits.js';
import { describeVariables } from './network.js';
import { type References, readReferences } from './references.js';
import { corrupt, HEADER_TEXT, headerText, linesOf, type MatValue } from './value.js';

/** Bytes of memory that a character takes while a text is put together. */
const CHARACTER_COST = 16;
/** Names of MATLAB's own groups: what cells refer to, and the data of objects. */
const OWN = /^#/;

/**
 * MATLAB 7.3 files, which are HDF5 behind a block of 512 bytes of text: arrays are datasets with their axes in the other order, structs
 * are groups, and cells and arrays of structs are datasets of references into the group `#refs#`. Tensors are named and laid out as those
 * of a MATLAB 5 file.
 */
export const matlab73: Format = {
  id: 'matlab-7.3',
  title: 'MATLAB 7.3',
  match: (head) => latin1(head.subarray(0, 10)) === 'MATLAB 7.3' && findSuperblock(head) !== undefined,
  open: openMatlab73,
};

async function openMatlab73(original: Source, options: ReadOptions = {}): Promise<WeightFile> {
  const source = cachedSource(original);
  const who = source.name;
  const file = await openHdf5(source, options);
  const walk = walker(file, options);
  const root = await readHeader(file, file.root);
  const variables = new Map<string, MatValue>();
  for (const [name, address] of await readLinks(file, root)) {
    if (!OWN.test(name)) variables.set(name, await walk(address, name, []));
  }
  const { tensors, graph, metadata } = await describeVariables(variables, who, options);
  const text = headerText(await source.read(0, HEADER_TEXT, options));
  return weightFile({
    format: 'matlab-7.3',
    who,
    tensors,
    metadata: new Map([['header', text], ...metadata]),
    ...(graph && { graph }),
    close: async () => original.close?.(),
  });
}

type Walk = (address: number, path: string, above: readonly number[]) => Promise<MatValue>;

/** Reads the value of an object, and those that it refers to: each once, and none that contains itself. */
export function walker(file: Hdf5, options: ReadOptions): Walk {
  const known = new Map<number, MatValue>();
  let visits = 0;
  return async function walk(address, path, above) {
    throwIfAborted(options.signal, file.who);
    if (++visits > MAX_VALUES) throw pastLimit(file.who, `at most ${MAX_VALUES} values`);
    const before = known.get(address);
    if (before) return before;
    if (above.includes(address)) throw corrupt(file.who, `${shown(path)} contains itself`);
    if (above.length > MAX_DEPTH) throw pastLimit(file.who, `values at most ${MAX_DEPTH} deep`);
    const value = await readObject(file, address, path, (child, name) => walk(child, name, [...above, address]), options);
    known.set(address, value);
    return value;
  };
}

type Enter = (address: number, path: string) => Promise<MatValue>;

async function readObject(file: Hdf5, address: number, path: string, enter: Enter, options: ReadOptions): Promise<MatValue> {
  const messages = await readHeader(file, address);
  const attributes = await readAttributes(file, messages);
  const kind = attributes.get('MATLAB_class');
  if (!messages.some(({ type }) => type === MESSAGE.layout)) return readStruct(file, messages, path, enter);
  if (isEmpty(attributes)) return kind === 'char' ? { kind: 'text', text: '' } : { kind: 'cell', shape: [0, 0], items: [] };
  const references = await readReferences(file, messages);
  if (references) return readCell(references, path, enter);
  const dataset = readDataset(file, messages, path);
  if ('unreadable' in dataset) return { kind: 'other', what: dataset.unreadable };
  if (kind === 'char') return { kind: 'text', text: await readText(file, dataset, options) };
  return numbersOf(file, dataset, options);
}

/** Of an empty array the dataset holds the shape, and an attribute says so. */
function isEmpty(attributes: ReadonlyMap<string, Attribute>): boolean {
  const empty = attributes.get('MATLAB_empty');
  return typeof empty === 'number' && empty !== 0;
}

async function readCell({ shape, addresses }: References, path: string, enter: Enter): Promise<MatValue> {
  const items: MatValue[] = [];
  for (const [i, address] of addresses.entries())
    items.push(address === undefined ? { kind: 'other', what: 'nothing' } : await enter(address, `${path}{${i + 1}}`));
  return { kind: 'cell', shape: shape.toReversed(), items };
}

/** A group is a struct; where all its fields are datasets of as many references, and no cells, it is an array of structs. */
async function readStruct(file: Hdf5, messages: readonly Message[], path: string, enter: Enter): Promise<MatValue> {
  const links = await readLinks(file, messages);
  const columns = await readColumns(file, links);
  const items: Map<string, MatValue>[] = [];
  if (!columns) {
    const fields = new Map<string, MatValue>();
    for (const [name, address] of links) fields.set(name, await enter(address, `${path}.${name}`));
    return { kind: 'struct', shape: [1, 1], items: [fields] };
  }
  for (let i = 0; i < columns.count; i++) {
    const fields = new Map<string, MatValue>();
    for (const [name, { addresses }] of columns.fields) {
      const address = addresses[i];
      if (address !== undefined) fields.set(name, await enter(address, `${path}(${i + 1}).${name}`));
    }
    items.push(fields);
  }
  return { kind: 'struct', shape: columns.shape.toReversed(), items };
}

async function readColumns(
  file: Hdf5,
  links: ReadonlyMap<string, number>,
): Promise<{ fields: Map<string, References>; shape: readonly number[]; count: number } | undefined> {
  const fields = new Map<string, References>();
  let count: number | undefined;
  for (const [name, address] of links) {
    const messages = await readHeader(file, address);
    if (!messages.some(({ type }) => type === MESSAGE.layout)) return undefined;
    // A cell says that it is one.
    if ((await readAttributes(file, messages)).has('MATLAB_class')) return undefined;
    const references = await readReferences(file, messages);
    if (!references || (count !== undefined && references.addresses.length !== count)) return undefined;
    count = references.addresses.length;
    fields.set(name, references);
  }
  const [first] = fields.values();
  return first && count !== undefined ? { fields, shape: first.shape, count } : undefined;
}

/** UTF-16 code units; MATLAB's rows are the columns of HDF5. */
async function readText(file: Hdf5, dataset: Dataset, options: ReadOptions): Promise<string> {
  if (dataset.count > MAX_TEXT) throw pastLimit(file.who, `texts of at most ${MAX_TEXT} characters`, dataset.count);
  charge(file, readingCost(dataset) + dataset.count * CHARACTER_COST);
  const values = await readValues(file, dataset, options);
  const characters = Array.from(values, (code) => String.fromCharCode(code));
  return linesOf(characters.join(''), dataset.shape.at(-1) ?? 1);
}

async function numbersOf(file: Hdf5, dataset: Dataset, options: ReadOptions): Promise<MatValue> {
  const { shape, dtype, count } = dataset;
  const cost = readingCost(dataset);
  const kept = count <= MAX_SETTING && cost <= MAX_SETTING_COST ? { values: [...(await readValues(file, dataset, options))] } : {};
  return {
    kind: 'numbers',
    // MATLAB has no fewer than two axes.
    shape: [...shape.toReversed(), 1, 1].slice(0, Math.max(2, shape.length)),
    dtype,
    cost,
    ...kept,
    store: (info) => ({
      info,
      read: (read) => readValues(file, dataset, read),
      stream: (read) => streamValues(file, dataset, read),
    }),
  };
}
