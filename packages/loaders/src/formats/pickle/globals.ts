import { type Call, corrupt, Dict, describeValue, isLongText, type Make, Opaque, textOf, type Value } from './values.js';

/** Globals of Python itself that hold plain data, under their names in Python 3 and 2. */
export const PLAIN: ReadonlyMap<string, Make> = new Map(
  Object.entries<Make>({
    'collections.OrderedDict': dict,
    'collections.Counter': dict,
    'collections.defaultdict': () => new Dict(), // its argument makes absent values
    dict,
    list,
    tuple: list,
    set: list,
    frozenset: list,
    bytes,
    bytearray: bytes,
    int: number,
    float: number,
    complex: () => new Opaque(),
    '_codecs.encode': encode,
  }).flatMap(([name, make]): [string, Make][] =>
    name.includes('.')
      ? [[name, make]]
      : [
          [`builtins.${name}`, make],
          [`__builtin__.${name}`, make],
        ],
  ),
);

/** What is kept of an object that says nothing of weights. */
export const opaque: Make = () => new Opaque();

/** A dict of pairs, as Python 2 wrote an OrderedDict, or of nothing: the items then follow. */
function dict([items]: readonly Value[], call: Call): Dict {
  const { who } = call;
  const out = new Dict();
  if (items instanceof Dict) {
    call.charge(items.entries.size);
    for (const [key, value] of items.entries) out.set(key, value);
  } else if (Array.isArray(items)) {
    call.charge(items.length);
    for (const pair of items) {
      if (!Array.isArray(pair) || pair.length !== 2) throw corrupt(who, `a dict in it has ${describeValue(pair)} as a pair`);
      out.set(pair[0]!, pair[1]!);
    }
  } else if (items !== undefined) {
    throw corrupt(who, `a dict in it is made of ${describeValue(items)}`);
  }
  return out;
}

/** The list itself, since a copy would cost what it has. */
function list([items = []]: readonly Value[], { who }: Call): Value {
  if (!Array.isArray(items)) throw corrupt(who, `a list in it is made of ${describeValue(items)}`);
  return items;
}

function number([value = 0]: readonly Value[]): Value {
  return typeof value === 'number' ? value : new Opaque();
}

/** Of nothing, of bytes, or of text and its encoding. */
function bytes(args: readonly Value[], call: Call): Value {
  return args.length > 1 ? encode(args, call) : (args[0] ?? { kind: 'bytes', text: '' });
}

/** How protocol 2 writes the bytes of Python 3: as the text whose characters they are. */
function encode([text, encoding]: readonly Value[], { who }: Call): Value {
  const name = textOf(encoding);
  if (name !== 'latin1' && name !== 'latin-1') throw corrupt(who, `bytes in it are encoded as ${describeValue(encoding)}`);
  if (isLongText(text)) return { kind: 'bytes', stored: { offset: text.offset, length: text.length }, isUtf8: true };
  if (typeof text !== 'string') throw corrupt(who, `bytes in it are made of ${describeValue(text)}`);
  return { kind: 'bytes', text };
}
