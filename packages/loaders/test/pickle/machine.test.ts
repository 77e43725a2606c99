import { isVggError } from '@vgg/errors';
import { describe, expect, test } from 'vitest';
import { PLAIN } from '../../src/formats/pickle/globals.js';
import { unpickle } from '../../src/formats/pickle/machine.js';
import { Dict, type Value } from '../../src/formats/pickle/values.js';
import { leavesOf } from '../../src/formats/pickle/walk.js';
import { storageOf, torchGlobal } from '../../src/formats/torch/globals.js';
import { TorchTensor } from '../../src/formats/torch/tensors.js';
import { bytesSource } from '../../src/index.js';
import { counted, refuses } from '../helpers.js';
import { little, long, pickle, text } from './helpers.js';

type Parts = Parameters<typeof pickle>;

async function load(...parts: Parts): Promise<Value> {
  const bytes = pickle(...parts);
  const { value, end } = await unpickle(bytesSource(bytes, 'x.pkl'), 0, { globals: (name) => PLAIN.get(name) });
  expect(end).toBe(bytes.length);
  return value;
}

/** As PyTorch's files are read. */
function loadTorch(...parts: Parts): Promise<Value> {
  const options = { globals: torchGlobal, persistent: (id: Value) => storageOf(id, 'x.pth') };
  return unpickle(bytesSource(pickle(...parts), 'x.pth'), 0, options).then(({ value }) => value);
}

describe('plain data', () => {
  test.each<[string, Value]>([
    ['N.', null],
    ['\x88.', true],
    ['I00\n.', false],
    ['I-12\n.', -12],
    ['L123L\n.', 123],
    ['K\xff.', 255],
    ['M\xff\xff.', 65535],
    ['J\xfe\xff\xff\xff.', -2],
    ['\x8a\x00.', 0],
    ['\x8a\x01\xff.', -1],
    ['\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x01.', 2n ** 56n],
    ['\x8b\x02\x00\x00\x00\x00\x01.', 256],
    ['F-1.5e3\n.', -1500],
    ['Finf\n.', Number.POSITIVE_INFINITY],
    ['G\x3f\xf8\x00\x00\x00\x00\x00\x00.', 1.5],
    [`${text('Grün')}.`, 'Grün'],
    ['V\\u0041\\U0001F600\n.', 'A😀'],
    ['\x8c\x02ab.', 'ab'],
    ['(K\x01K\x02l.', [1, 2]],
    [']K\x01a.', [1]],
    ['\x8f(K\x01\x90.', [1]],
    ['(K\x01\x91.', [1]],
    ['K\x01K\x02K\x03\x87.', [1, 2, 3]],
    ['K\x01K\x020.', 1],
    ['K\x01(K\x02K\x031.', 1],
    ['K\x012\x86.', [1, 1]],
    ['K\x05q\x070h\x07.', 5],
    ['K\x05p300\n0g300\n.', 5],
    ['K\x05r\x00\x01\x00\x000j\x00\x01\x00\x00.', 5],
    ['\x80\x04\x95\x03\x00\x00\x00\x00\x00\x00\x00K\x05\x94.', 5],
    ['c__builtin__\nbytearray\n\x8c\x01a\x8c\x07latin-1\x86R.', { kind: 'bytes', text: 'a' } as Value],
    ['c__builtin__\nset\n](K\x01e\x85R.', [1]],
    ['c_codecs\nencode\n\x8c\x03a\xc3\xbf\x8c\x06latin1\x86R.', { kind: 'bytes', text: 'aÿ' } as Value],
  ])('%j', async (stored, expected) => {
    expect(await load(stored)).toEqual(expected);
  });

  test('strings of Python 2 keep their bytes', async () => {
    expect(await load("S'a\\x00\\n\\'\\\\b'\n.")).toMatchObject({ kind: 'bytes', text: "a\0\n'\\b" });
    expect(await load('U\x02\xff\x00.')).toMatchObject({ text: 'ÿ\0', stored: { offset: 2, length: 2 } });
    expect(await load('T\x02\x00\x00\x00ab.')).toMatchObject({ text: 'ab', stored: { offset: 5, length: 2 } });
  });

  test.each([
    ['}(K\x01K\x02\x8c\x01aK\x03u.', ['1', 'a']],
    ['(U\x01aK\x01d.', ['a']],
    ['ccollections\nOrderedDict\n](](U\x01bK\x01ee\x85R.', ['b']],
    ['ccollections\nOrderedDict\n)R\x8c\x01cK\x01s}\x8c\x09_metadataNsb.', ['c']],
    ['\x8c\x0bcollections\x8c\x0bOrderedDict\x93)\x81.', []],
    ['ccollections\nOrderedDict\n)}\x92.', []],
    ['(ccollections\nOrderedDict\no.', []],
    ['(icollections\nOrderedDict\n.', []],
  ])('dict %j', async (stored, keys) => {
    const dict = await load(stored);
    expect(dict).toBeInstanceOf(Dict);
    expect([...(dict as Dict).entries.keys()]).toEqual(keys);
  });

  test('keys such as __proto__ are keys like others', async () => {
    const dict = (await load('}', text('__proto__'), '}', text('polluted'), 'K\x01ss', text('constructor'), 'K\x02s.')) as Dict;
    expect([...dict.entries.keys()]).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    const tensors = leavesOf(dict, TorchTensor, 'x');
    expect(tensors).toEqual([]);
  });

  test('long strings stay in the file', async () => {
    const size = 5_000_000;
    const source = counted(
      bytesSource(
        pickle(
          '\x80\x04}\x8c\x01a',
          'B',
          little(size, 4),
          new Uint8Array(size),
          's\x8c\x01b\x8e',
          little(size, 8),
          new Uint8Array(size),
          's.',
        ),
      ),
    );
    const { value } = await unpickle(source, 0);
    const [a, b] = [...(value as Dict).entries.values()] as { stored: { offset: number; length: number } }[];
    expect([a!.stored, b!.stored]).toEqual([
      { offset: 11, length: size },
      { offset: 11 + size + 1 + 3 + 9, length: size },
    ]);
    expect(source.bytes).toBeLessThan(100_000);
  });
});

describe('a pickle that asks to run something is refused by its name', () => {
  const command = text('echo harm');
  const asks: [string, Parts, RegExp][] = [
    ['REDUCE', ['\x80\x02cos\nsystem\n', command, '\x85R.'], /"os\.system"/],
    ['REDUCE of posix', ['\x80\x02cposix\nsystem\n', command, '\x85R.'], /"posix\.system"/],
    ['REDUCE of eval', ['\x80\x02cbuiltins\neval\n', command, '\x85R.'], /"builtins\.eval"/],
    ['REDUCE of Python 2', ['c__builtin__\neval\n', command, '\x85R.'], /"__builtin__\.eval"/],
    ['STACK_GLOBAL', ['\x80\x04\x8c\x05posix\x8c\x06system\x93', command, '\x85R.'], /"posix\.system"/],
    ['STACK_GLOBAL of getattr', ['\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.'], /"builtins\.getattr"/],
    ['INST', ['(', command, 'ios\nsystem\n.'], /"os\.system"/],
    ['OBJ', ['(cos\nsystem\n', command, 'o.'], /"os\.system"/],
    ['NEWOBJ', ['\x80\x02csubprocess\nPopen\n', command, '\x85\x81.'], /"subprocess\.Popen"/],
    ['NEWOBJ_EX', ['\x80\x04csubprocess\nPopen\n', command, '\x85}\x92.'], /"subprocess\.Popen"/],
    ['BUILD', ['\x80\x02ccollections\nOrderedDict\n)R}', text('__setstate__'), 'cos\nsystem\nsb', command, 'b.'], /"os\.system"/],
    ['a name within an allowed module', ['\x80\x04\x8c\x0bcollections\x8c\x16abc.sys.modules.system\x93.'], /collections\.abc\.sys/],
    ['a name that is never called', ['\x80\x02cos\nsystem\n0}.'], /"os\.system"/],
  ];
  test.each(asks)('%s', async (how, parts, name) => {
    const code = how.startsWith('a name within') ? 'VGG_FORMAT' : 'VGG_INTEGRITY';
    await refuses(load(...parts), code, name);
    await refuses(loadTorch(...parts), code, name);
  });

  test('__setstate__ as a state is only data', async () => {
    const dict = (await load('ccollections\nOrderedDict\n)R}', text('__setstate__'), text('harm'), 'sb.')) as Dict;
    expect(dict.entries.size).toBe(0);
  });

  test.each<[string, Parts]>([
    ['EXT1', ['\x82\x01.']],
    ['EXT2', ['\x83\x01\x00.']],
    ['EXT4', ['\x84\x01\x00\x00\x00.']],
    ['NEXT_BUFFER', ['\x97.']],
    ['READONLY_BUFFER', ['N\x98.']],
    ['PERSID', ['P/etc/passwd\n.']],
    ['BINPERSID', [text('/etc/passwd'), 'Q.']],
    ['a class', ['ctorchvision.models.vgg\nVGG\n)\x81.']],
    ['protocol 6', ['\x80\x06N.']],
  ])('%s is of no weight file', async (_, parts) => {
    await refuses(load(...parts), 'VGG_FORMAT', /^x\.pkl: expected/);
  });

  test('a call of what is no function, and odd arguments', async () => {
    await refuses(load('K\x01)R.'), 'VGG_INTEGRITY', /it calls number 1/);
    await refuses(load('ccollections\nOrderedDict\nK\x01R.'), 'VGG_INTEGRITY', /with number 1 as its arguments/);
    await refuses(load('ccollections\nOrderedDict\nK\x05\x85R.'), 'VGG_INTEGRITY', /made of number 5/);
    await refuses(load('ccollections\nOrderedDict\n]K\x05a\x85R.'), 'VGG_INTEGRITY', /number 5 as a pair/);
    await refuses(load('ccollections\nOrderedDict\n)}', text('a'), 'K\x01s\x92.'), 'VGG_INTEGRITY', /arguments by name/);
    await refuses(load('K\x01}b.'), 'VGG_INTEGRITY', /gives a state to number 1/);
    await refuses(load('c_codecs\nencode\n', text('a'), text('rot13'), '\x86R.'), 'VGG_INTEGRITY', /encoded as string rot13/);
    await refuses(load('c__builtin__\nset\nK\x01\x85R.'), 'VGG_INTEGRITY', /a list in it is made of/);
    await refuses(load('K\x01K\x02\x93.'), 'VGG_INTEGRITY', /has no name/);
  });
});

describe('bombs cost nothing', () => {
  test.each<[string, Parts]>([
    ['BINUNICODE', ['X\xff\xff\xff\xff']],
    ['BINUNICODE8', ['\x8d', little(2n ** 62n, 8)]],
    ['BINBYTES8', ['\x8e', little(2n ** 63n, 8)]],
    ['BYTEARRAY8', ['\x96', little(2n ** 40n, 8)]],
    ['BINSTRING', ['T\x00\x00\x00\x80']],
    ['FRAME', ['\x80\x04\x95', little(2n ** 50n, 8), 'N.']],
  ])('%s of more bytes than the file has', async (_, parts) => {
    await refuses(load(...parts), 'VGG_INTEGRITY', /needs \d+ more, and the file ends at/);
  });

  test('LONG4 of a number of gigabytes', async () => {
    await refuses(load('\x8b\xff\xff\xff\x7f', new Uint8Array(5000)), 'VGG_INTEGRITY', /at most 64 bytes, received one of 2147483647/);
    await refuses(load('L', '9'.repeat(4000), 'L\n.'), 'VGG_INTEGRITY', /stands for a whole number/);
  });

  test('lists in lists', async () => {
    await refuses(load('('.repeat(5000), '.'), 'VGG_INTEGRITY', /at most 1024 levels/);
    const nested = await load(']'.repeat(5000), 'a'.repeat(4999), '.');
    await refuses(async () => leavesOf(nested, TorchTensor, 'x'), 'VGG_INTEGRITY', /at most 16 levels/);
    const itself = await load(']q\x00h\x00a.');
    await refuses(async () => leavesOf(itself, TorchTensor, 'x'), 'VGG_INTEGRITY', /one that is in itself/);
  });

  test('a billion laughs', async () => {
    const laughs = await load(']', ...Array(14).fill(`q\x000](${'h\x00'.repeat(10)}e`), '.');
    await refuses(async () => leavesOf(laughs, TorchTensor, 'x'), 'VGG_INTEGRITY', /expected tensors in at most/);
    const copies = await load('K\x01', '2\x86'.repeat(20_000), '.');
    await refuses(async () => leavesOf(copies, TorchTensor, 'x'), 'VGG_INTEGRITY', /expected tensors in at most/);
  });

  test('more steps, objects and values than any weight file has', async () => {
    await refuses(load('K\x010'.repeat(300_000), 'N.'), 'VGG_INTEGRITY', /at most 524288 steps/);
    await refuses(load(']0'.repeat(140_000), 'N.'), 'VGG_INTEGRITY', /at most 131072 objects/);
    await refuses(load('N'.repeat(70_000), '.'), 'VGG_INTEGRITY', /at most 65536 values on the stack/);
    // A dict of 10,000 pairs, copied 10,000 times.
    const pairs = `](${'K\x01K\x02\x86'.repeat(10_000)}e`;
    await refuses(
      load(pairs, 'q\x00', 'ccollections\nOrderedDict\nh\x00\x85R0'.repeat(10_000), 'N.'),
      'VGG_INTEGRITY',
      /at most 524288 steps/,
    );
  });

  test('what is no pickle', async () => {
    await refuses(load('\xfe.'), 'VGG_INTEGRITY', /byte 0 is 0xfe, which is no opcode/);
    await refuses(load(''), 'VGG_INTEGRITY', /needs 1 more/);
    await refuses(load('.'), 'VGG_INTEGRITY', /stack is empty/);
    await refuses(load('K\x01(.'), 'VGG_INTEGRITY', /stack is empty/);
    await refuses(load('t.'), 'VGG_INTEGRITY', /a mark that it has not set/);
    await refuses(load('h\x01.'), 'VGG_INTEGRITY', /value 1 of its memory/);
    await refuses(load('gx\n.'), 'VGG_INTEGRITY', /of its memory/);
    await refuses(load('K\x01px\n.'), 'VGG_INTEGRITY', /no number/);
    await refuses(load('K\x01K\x02a.'), 'VGG_INTEGRITY', /adds an item to number 1/);
    await refuses(load('K\x01K\x02K\x03s.'), 'VGG_INTEGRITY', /sets a key of number 1/);
    await refuses(load('}(K\x01u.'), 'VGG_INTEGRITY', /a key in it has no value/);
    await refuses(load('S"a\'\n.'), 'VGG_INTEGRITY', /no quotes/);
    await refuses(load('Fx\n.'), 'VGG_INTEGRITY', /stands for a number/);
    await refuses(load('Ix\n.'), 'VGG_INTEGRITY', /stands for a whole number/);
    await refuses(load('I12'), 'VGG_INTEGRITY', /needs 1 more/);
  });

  test('an aborted read', async () => {
    await refuses(unpickle(bytesSource(pickle('N.')), 0, { signal: AbortSignal.abort() }), 'VGG_ABORTED', /stopped/);
  });
});

describe('tensors of a stranger', () => {
  const storage = (key: string, count: number | bigint, extra = '') =>
    `(${text('storage')}ctorch\nFloatStorage\n${text(key)}${text('cpu')}${long(count)}${extra}tQ`;
  const ints = (...values: (number | bigint)[]) => `(${values.map(long).join('')}t`;
  const rebuild = (parts: string) => `\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(${parts}\x89ccollections\nOrderedDict\n)RtR.`;
  const tensor = (count: number, offset: number | bigint, shape: (number | bigint)[], strides: (number | bigint)[]) =>
    loadTorch(rebuild(storage('0', count) + long(offset) + ints(...shape) + ints(...strides)));

  test('a whole one', async () => {
    expect(await tensor(10, 1, [3, 3], [3, 1])).toMatchObject({ offset: 1, shape: [3, 3], strides: [3, 1], type: 'float32' });
  });

  test.each<[string, number, number | bigint, (number | bigint)[], (number | bigint)[], RegExp]>([
    ['past its storage', 9, 1, [3, 3], [3, 1], /of 10 values \[3,3\] in a storage of 9/],
    ['past its storage by its strides', 9, 0, [3, 3], [4, 1], /of 11 values/],
    ['with sizes that overflow', 9, 0, [2n ** 32n, 2n ** 32n], [1, 1], /at most \d+ values/],
    ['with strides that overflow', 9, 0, [2, 2], [2n ** 53n - 1n, 2n ** 53n - 1n], /inside their storages/],
    ['with an offset that overflows', 9, 2n ** 53n - 1n, [1], [1], /inside their storages/],
    ['with numbers past the safe ones', 9, 0, [2n ** 60n], [1], /no whole numbers/],
    ['with a negative stride', 9, 8, [3], [-1], /no whole numbers/],
    ['with a negative offset', 9, -1, [3], [1], /no whole numbers/],
    ['with a negative size', 9, 0, [-3], [1], /no whole numbers/],
    ['with more strides than axes', 9, 0, [3], [1, 1], /no whole numbers/],
    ['of nine axes', 9, 0, Array(9).fill(1), Array(9).fill(1), /no whole numbers/],
    ['that repeats one value', 9, 0, [2 ** 21], [0], /at most 1048576 values of a tensor that repeats/],
  ])('%s', async (_, count, offset, shape, strides, message) => {
    await refuses(tensor(count, offset, shape, strides), 'VGG_INTEGRITY', message);
  });

  test('persistent ids that are no storages', async () => {
    await refuses(loadTorch(text('/etc/passwd'), 'Q.'), 'VGG_INTEGRITY', /names string \/etc\/passwd where a storage belongs/);
    await refuses(loadTorch('P../x\n.'), 'VGG_INTEGRITY', /where a storage belongs/);
    await refuses(loadTorch(storage('0', -1), '.'), 'VGG_INTEGRITY', /where a storage belongs/);
    await refuses(loadTorch(`(${text('module')}NNNtQ.`), 'VGG_FORMAT', /received a whole model/);
    const view = (start: number, size: number) => `(${text('7')}${long(start)}${long(size)}t`;
    expect(await loadTorch(storage('0', 9, view(4, 5)), '.')).toMatchObject({ key: '0', start: 4, count: 5, total: 9 });
    await refuses(loadTorch(storage('0', 9, view(4, 6)), '.'), 'VGG_INTEGRITY', /a view in it is not inside storage "0"/);
  });

  test('tensors as PyTorch made them before 2017', async () => {
    // torch.FloatTensor(), then (storage, offset, size, stride) as its state
    const state = storage('0', 6) + long(0) + ints(2, 3) + ints(3, 1);
    expect(await loadTorch('ctorch\nFloatTensor\n)R(', state, 'tb.')).toMatchObject({ shape: [2, 3], strides: [3, 1] });
    const data = `ctorch._utils\n_rebuild_tensor\n(${state}tR`;
    // Variables of 0.1: Parameter(data), then (requires_grad, volatile, hooks)
    expect(await loadTorch('ctorch.nn.parameter\nParameter\n', data, '\x85R(\x88\x89Ntb.')).toMatchObject({ shape: [2, 3] });
    // and before: Parameter(), then (data, grad, hooks, requires_grad, volatile)
    expect(await loadTorch('ctorch.nn.parameter\nParameter\n)\x81(', data, 'NN\x88\x89tb.')).toMatchObject({ shape: [2, 3] });
    expect(await loadTorch('ctorch._utils\n_rebuild_parameter\n(', data, '\x88NtR.')).toMatchObject({ shape: [2, 3] });
    // with attributes
    const typed = 'ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor\nctorch\nTensor\n(';
    expect(await loadTorch(typed, state, 't}tR.')).toMatchObject({ shape: [2, 3] });
    await refuses(
      loadTorch(typed.replace('_rebuild_tensor\nctorch', '_rebuild_parameter\nctorch'), 'K\x01t}tR.'),
      'VGG_INTEGRITY',
      /a parameter in it is number 1/,
    );
  });

  test('odd arguments', async () => {
    await refuses(loadTorch('ctorch._utils\n_rebuild_tensor_v2\n)R.'), 'VGG_INTEGRITY', /nothing as its storage/);
    await refuses(loadTorch('ctorch\nFloatStorage\n)R.'), 'VGG_INTEGRITY', /calls the name of a type/);
    await refuses(loadTorch('ctorch\nFloatTensor\n)RNb.'), 'VGG_INTEGRITY', /gives None to a tensor/);
    await refuses(loadTorch(storage('0', 9), 'Nb.'), 'VGG_INTEGRITY', /gives a state to a storage/);
    await refuses(loadTorch('ctorch.nn.parameter\nParameter\nK\x01\x85R.'), 'VGG_INTEGRITY', /a parameter in it is number 1/);
    const negated = `}${text('neg')}\x88s`;
    await refuses(
      loadTorch('ctorch._utils\n_rebuild_tensor_v2\n(', storage('0', 9), long(0), ints(3), ints(1), '\x89N', negated, 'tR.'),
      'VGG_FORMAT',
      /one to be negated/,
    );
    for (const name of ['_rebuild_sparse_tensor', '_rebuild_qtensor']) {
      await refuses(loadTorch(`ctorch._utils\n${name}\n)R.`), 'VGG_FORMAT', name);
    }
    for (const name of [
      'torch\nload',
      'torch.storage\n_load_from_bytes',
      'torch.hub\nload',
      'numpy\nload',
      'numpy.f2py.diagnose\nrun_command',
    ]) {
      const error = await loadTorch(`c${name}\n)R.`).catch((thrown: unknown) => thrown);
      expect(isVggError(error, 'VGG_FORMAT'), name).toBe(true);
    }
  });
});
