import { describe, expect, test } from 'vitest';
import { torchLegacy } from '../../src/formats/torch/legacy.js';
import { openTorchZip } from '../../src/formats/torch/zip.js';
import { openZip } from '../../src/formats/zip/index.js';
import { bytesSource, canonicalise, readCanonical, type Source, type WeightFile } from '../../src/index.js';
import expectedValues from '../fixtures/torch/pth.json';
import { counted, fixture, refuses } from '../helpers.js';
import { checksums, pickle, text } from '../pickle/helpers.js';
import { table } from '../vgg.js';
import { buildZip } from '../zip/helpers.js';

type Expected = Record<string, Record<string, [dtype: string, shape: number[], crc: number]>>;
const EXPECTED = expectedValues as unknown as Expected;

async function openPth(source: Source): Promise<WeightFile> {
  const head = await source.read(0, Math.min(4096, source.size));
  return torchLegacy.match(head, source) ? torchLegacy.open(source) : openTorchZip(await openZip(source), source);
}

const openFixture = async (name: string) => openPth(bytesSource(await fixture(`torch/${name}`), name));

describe.each(Object.keys(EXPECTED))('%s, written by PyTorch', (name) => {
  test('has the tensors with their types, shapes and values, bit for bit', async () => {
    const file = await openFixture(name);
    const found = [...file.tensors.values()].map(({ name, dtype, shape }) => [name, dtype, shape]);
    expect(found).toEqual(Object.entries(EXPECTED[name]!).map(([key, [dtype, shape]]) => [key, dtype, shape]));
    const sums = await checksums(file);
    for (const [key, [, , crc]] of Object.entries(EXPECTED[name]!)) expect(sums.get(key), key).toEqual([crc, crc]);
    await file.close();
  });
});

test('a transposed tensor is read as it lies, with its axes', async () => {
  for (const name of ['pth-views.pth', 'pth-views-legacy.pth']) {
    const { tensors } = await openFixture(name);
    const axes = (key: string) => tensors.get(key)!.axes;
    expect([axes('whole'), axes('part'), axes('ones'), axes('scalar'), axes('empty')]).toEqual(Array(5).fill(undefined));
    expect([axes('transposed'), axes('permuted'), axes('channels_last')]).toEqual([
      [1, 0],
      [3, 2, 0, 1],
      [0, 2, 3, 1],
    ]);
  }
});

test.each(['pth-zip.pth', 'pth-legacy.pth', 'pth-checkpoint.pth'])('%s gives the weights of an architecture', async (name) => {
  const file = await openFixture(name);
  const mapping = canonicalise(file, table([[2, 3], [4]], { side: 2, dense: [6, 5] }));
  expect(mapping).toMatchObject({ naming: 'torch', missing: [], unknown: [] });
  const stored = await file.read('features.0.weight'); // OIHW
  const values = await readCanonical(file, mapping, 'conv1_1.weight'); // HWIO
  expect(values[0]).toBe(stored[0]);
  expect(values[1]).toBe(stored[27]);
});

test('a checkpoint is its state dict; what is beside it is told', async () => {
  const { metadata, format } = await openFixture('pth-checkpoint.pth');
  expect([format, metadata.get('container'), metadata.get('ignored')]).toEqual(['torch-zip', 'state_dict', 'optimizer']);
  expect([metadata.get('arch'), metadata.get('epoch'), metadata.get('best_acc1')]).toEqual(['vgg16', '3', '71.5']);
  expect((await openFixture('pth-script.pt')).metadata.get('torchscript')).toBe('true');
});

test('an index is a few reads, and a tensor one', async () => {
  for (const [name, most] of [
    ['pth-zip.pth', 12],
    ['pth-legacy.pth', 6],
  ] as const) {
    const source = counted({ ...bytesSource(await fixture(`torch/${name}`), name), remote: true });
    const file = await openPth(source);
    expect(source.reads, name).toBeLessThanOrEqual(most);
    const before = source.reads;
    await file.read('features.2.weight');
    expect(source.reads - before, name).toBeLessThanOrEqual(3);
  }
});

test('the bytes of a big-endian machine are swapped', async () => {
  const zip = await openZip(bytesSource(await fixture('torch/pth-dtypes.pth')));
  const members = [];
  const widths = [8, 2, 2, 8, 4, 2, 1, 1, 2, 4, 8, 1];
  for (const [name, entry] of zip.entries) {
    const data = await zip.source
      .read(0, zip.source.size)
      .then((all) => all.slice(dataStart(all, entry.offset), dataStart(all, entry.offset) + entry.size));
    const key = /\/data\/(\d+)$/.exec(name)?.[1];
    if (name.endsWith('/byteorder')) members.push({ name, data: new TextEncoder().encode('big') });
    else if (key) members.push({ name, data: swapped(data, widths[Number(key)]!) });
    else members.push({ name, data });
  }
  const file = await openPth(bytesSource(await buildZip(members), 'big.pth'));
  const sums = await checksums(file);
  for (const [key, [, , crc]] of Object.entries(EXPECTED['pth-dtypes.pth']!)) expect(sums.get(key), key).toEqual([crc, crc]);
});

function dataStart(all: Uint8Array, header: number): number {
  const view = new DataView(all.buffer, all.byteOffset + header);
  return header + 30 + view.getUint16(26, true) + view.getUint16(28, true);
}

function swapped(data: Uint8Array, width: number): Uint8Array {
  const out = data.slice();
  for (let at = 0; at < out.length; at += width) out.subarray(at, at + width).reverse();
  return out;
}

test('a whole model is refused with what to do', async () => {
  await refuses(openFixture('pth-model.pth'), 'VGG_FORMAT', /"torch\.nn\.modules\.container\.Sequential".*save the state_dict/);
});

describe('a cut legacy file', () => {
  test('names its tensors, and reads those that are whole', async () => {
    const bytes = await fixture('torch/pth-legacy.pth');
    const whole = await openFixture('pth-legacy.pth');
    let present = whole.tensors.size;
    for (const length of [bytes.length - 1, bytes.length - 700, bytes.length - 1000, bytes.length - 1400]) {
      const file = await openPth(bytesSource(bytes.slice(0, length), 'cut.pth'));
      expect([...file.tensors.keys()]).toEqual([...whole.tensors.keys()]);
      const there = [...file.tensors.values()].filter((tensor) => tensor.present);
      expect(there.length).toBeLessThan(whole.tensors.size);
      expect(there.length).toBeLessThanOrEqual(present); // the order in the file is that of addresses in PyTorch's memory
      present = there.length;
      for (const { name } of there) expect(await file.read(name)).toEqual(await whole.read(name));
      const missing = [...file.tensors.values()].find((tensor) => !tensor.present)!;
      await refuses(
        file.read(missing.name),
        'VGG_WEIGHTS_MISSING',
        `the file ends before it: it has ${length} of ${bytes.length} bytes, fetch it again`,
      );
    }
  });

  test('is refused where its pickles are cut', async () => {
    const bytes = await fixture('torch/pth-legacy.pth');
    for (const length of [16, 21, 200, 800]) {
      await refuses(openPth(bytesSource(bytes.slice(0, length), 'cut.pth')), 'VGG_INTEGRITY', /^cut\.pth: expected a whole pickle/);
    }
  });
});

test('a longer legacy file and another count of a storage are refused', async () => {
  const bytes = await fixture('torch/pth-legacy.pth');
  const longer = new Uint8Array(bytes.length + 1);
  longer.set(bytes);
  await refuses(
    openPth(bytesSource(longer, 'x')),
    'VGG_INTEGRITY',
    `expected ${bytes.length} bytes, as its storages take, received a file of ${longer.length}`,
  );
  const file = await openFixture('pth-legacy.pth');
  const data = [...file.tensors.values()].reduce((sum, { shape }) => sum + 8 + 4 * shape.reduce((product, size) => product * size, 1), 0);
  const lying = bytes.slice();
  lying[bytes.length - data]! ^= 1; // the first storage's count
  await refuses(openPth(bytesSource(lying, 'x')), 'VGG_INTEGRITY', `at byte ${bytes.length - data}, received`);
});

test('the tar form of 2016 is refused by its name', async () => {
  const tar = new Uint8Array(1024);
  tar.set(new TextEncoder().encode('sys_info'));
  tar.set(new TextEncoder().encode('ustar'), 257);
  await refuses(openPth(bytesSource(tar, 'old.pth')), 'VGG_FORMAT', /the tar form of before; load and save it in PyTorch/);
  tar.set(new TextEncoder().encode('readme'));
  tar[6] = 0;
  expect(torchLegacy.match(tar, bytesSource(tar))).toBe(false);
});

describe('archives of strangers', () => {
  const storage = (key: string) => `(${text('storage')}ctorch\nFloatStorage\n${text(key)}${text('cpu')}K\x02tQ`;
  const tensor = (key: string) => `ctorch._utils\n_rebuild_tensor_v2\n(${storage(key)}K\x00K\x02\x85K\x01\x85\x89NtR`;
  const state = (key: string) => ({ name: 'x/data.pkl', data: pickle('\x80\x02}', text('a.weight'), tensor(key), 's.') });
  const values = new Uint8Array(Float32Array.of(1.5, -2).buffer);
  const openMembers = async (...members: Parameters<typeof buildZip>[0]) => openPth(bytesSource(await buildZip(members), 'x.pth'));

  test('a good one', async () => {
    const file = await openMembers(state('0'), { name: 'x/data/0', data: values });
    expect([...(await file.read('a.weight'))]).toEqual([1.5, -2]);
  });

  test('the pickle may be deflated, storages may not', async () => {
    const file = await openMembers({ ...state('0'), deflate: true }, { name: 'x/data/0', data: values });
    expect([...(await file.read('a.weight'))]).toEqual([1.5, -2]);
    await refuses(openMembers(state('0'), { name: 'x/data/0', data: values, deflate: true }), 'VGG_FORMAT', /received a deflated one/);
  });

  test.each(['../../etc/passwd', '/etc/passwd', '1', '__proto__', 'constructor'])('storage %j, which the archive has not', async (key) => {
    await refuses(
      openMembers(state(key), { name: 'x/data/0', data: values }),
      'VGG_INTEGRITY',
      `expected storage ${JSON.stringify(key)} in the archive`,
    );
  });

  test('a storage that is shorter than the pickle says', async () => {
    const short = { name: 'x/data/0', data: values.slice(0, 7) };
    await refuses(openMembers(state('0'), short), 'VGG_INTEGRITY', /expected 8 bytes in storage "0", received 7/);
  });

  test('without a pickle, without tensors, with another byte order', async () => {
    await refuses(openMembers({ name: 'x/data/0', data: values }), 'VGG_FORMAT', /without data\.pkl/);
    await refuses(openMembers({ name: 'x/data.pkl', data: pickle('\x80\x02}.') }), 'VGG_FORMAT', /with its brackets/);
    const order = { name: 'x/byteorder', data: new TextEncoder().encode('middle') };
    await refuses(openMembers(state('0'), { name: 'x/data/0', data: values }, order), 'VGG_INTEGRITY', /"little" or "big".*"middle"/);
  });

  test('names such as __proto__ are names like others', async () => {
    const named = pickle('\x80\x02}', text('__proto__'), tensor('0'), 's', text('constructor'), tensor('0'), 's.');
    const file = await openMembers({ name: 'x/data.pkl', data: named }, { name: 'x/data/0', data: values });
    expect([...file.tensors.keys()]).toEqual(['__proto__', 'constructor']);
    expect([...(await file.read('__proto__'))]).toEqual([1.5, -2]);
  });

  test('compiled code is not looked at', async () => {
    const members = [
      { name: 'x/data.pkl', data: pickle('\x80\x02c__torch__\nNet\n)\x81}', text('w'), tensor('0'), 'sb.') },
      { name: 'x/data/0', data: values },
    ];
    await refuses(openMembers(...members), 'VGG_FORMAT', /"__torch__\.Net"/);
    const file = await openMembers(...members, { name: 'x/code/__torch__.py', data: new TextEncoder().encode('import os') });
    expect([...file.tensors.keys()]).toEqual(['w']);
    const bad = { name: 'x/data.pkl', data: pickle('\x80\x02cos\nsystem\n.') };
    await refuses(openMembers(bad, { name: 'x/code/a.py' }), 'VGG_INTEGRITY', /"os\.system"/);
  });

  test('tensors whose values overlap', async () => {
    const overlapping = tensor('0').replace('K\x00K\x02\x85K\x01\x85', 'K\x00K\x01K\x02\x86K\x00K\x01\x86');
    const members = (shape: string) => [
      { name: 'x/data.pkl', data: pickle('\x80\x02}', text('a'), shape, 's.') },
      { name: 'x/data/0', data: values },
    ];
    expect([...(await (await openMembers(...members(overlapping))).read('a'))]).toEqual([1.5, -2]);
    const twice = tensor('0').replace('K\x00K\x02\x85K\x01\x85', 'K\x00K\x01K\x02\x86K\x01K\x00\x86'); // one value twice
    expect([...(await (await openMembers(...members(twice))).read('a'))]).toEqual([1.5, 1.5]);
    const four = { name: 'x/data/0', data: new Uint8Array(16) };
    const square = tensor('0').replaceAll('K\x02', 'K\x04').replace('K\x00K\x04\x85K\x01\x85', 'K\x00K\x02K\x02\x86K\x01K\x01\x86');
    await refuses(openMembers(members(square)[0]!, four), 'VGG_FORMAT', /values that do not overlap, received strides \[1,1\]/);
  });

  test('which dict of a checkpoint has the weights', async () => {
    const dict = (...entries: string[]) => `}(${entries.join('')}u`;
    const weights = dict(text('w'), tensor('0'));
    const names = async (root: string) => {
      const file = await openMembers({ name: 'x/data.pkl', data: pickle(root, '.') }, { name: 'x/data/0', data: values });
      return [[...file.tensors.keys()], file.metadata.get('container'), file.metadata.get('ignored')];
    };
    expect(await names(dict(text('net'), weights, text('optim'), weights))).toEqual([['w'], 'net', 'optim']);
    expect(await names(dict(text('ema'), weights, text('model'), weights))).toEqual([['w'], 'model', 'ema']);
    expect(await names(dict(text('vgg'), weights))).toEqual([['w'], 'vgg', undefined]);
    expect(await names(dict(text('a'), weights, text('b'), weights))).toEqual([['a.w', 'b.w'], undefined, undefined]);
    expect(await names(`](${tensor('0')}${tensor('0')}e`)).toEqual([['0', '1'], undefined, undefined]);
    expect(await names(tensor('0'))).toEqual([['tensor'], undefined, undefined]);
    const twice = dict(text('a.w'), tensor('0'), text('a'), weights);
    await refuses(names(twice), 'VGG_INTEGRITY', /each name once, received "a\.w" twice/);
  });
});
