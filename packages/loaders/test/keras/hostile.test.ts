import { describe, expect, test } from 'vitest';
import { type GroupToWrite, layOutHdf5 } from '../../src/formats/hdf5/write/file.js';
import type { AttributeToWrite } from '../../src/formats/hdf5/write/messages.js';
import { kerasH5 } from '../../src/formats/keras/h5.js';
import { bytesSource } from '../../src/index.js';
import { refuses } from '../helpers.js';

type Attributes = Record<string, AttributeToWrite>;

function group(
  attributes: Attributes,
  children: Record<string, GroupToWrite['children'] extends ReadonlyMap<string, infer C> ? C : never>,
) {
  return { attributes: new Map(Object.entries(attributes)), children: new Map(Object.entries(children)) };
}

/** A file whose values are all 0. */
function file(root: GroupToWrite): Uint8Array {
  const { head, size } = layOutHdf5(root);
  const out = new Uint8Array(size);
  out.set(head);
  return out;
}

const open = (bytes: Uint8Array) => kerasH5.open(bytesSource(bytes, 'x.h5'));
const tensor = () => ({ shape: [2], dtype: 'float32' }) as const;
/** A list as long as one attribute may be. */
const many = (name: string) => Array.from({ length: 60_000 }, () => name);

describe('names', () => {
  test('of one layer, and of one weight in it, that a file lists 60,000 times', async () => {
    const root = group({ layer_names: many('a') }, { a: group({ weight_names: many('w') }, { w: tensor() }) });
    expect([...(await open(file(root))).tensors.keys()]).toEqual(['a/w']);
  });

  test('of 20,000 variables in one layer', async () => {
    const vars = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [String(i), tensor()]));
    const { tensors } = await open(file(group({}, { layers: group({}, { dense: group({}, { vars: group({}, vars) }) }) })));
    expect([...tensors.keys()].slice(0, 2)).toEqual(['dense/vars/0', 'dense/vars/1']);
    expect(tensors.size).toBe(20_000);
  });

  test('of 5000 characters', async () =>
    refuses(open(file(group({}, { ['n'.repeat(5000)]: tensor() }))), 'VGG_INTEGRITY', /names of at most 4096 characters/));

  test('that are long because each group above has a long one', async () => {
    let root = group({}, { w: tensor() });
    for (let depth = 0; depth < 3; depth++) root = group({}, { ['n'.repeat(2000)]: root });
    await refuses(open(file(root)), 'VGG_INTEGRITY', /paths of at most 4096 characters, received 6002/);
  });

  test('that end in as many digits as there is room for', async () => {
    const digits = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${'1'.repeat(3000)}${i}x`, tensor()]));
    expect((await open(file(group({}, digits)))).tensors.size).toBe(500);
  });
});

describe('one thing in many places', () => {
  test('a group with a long attribute', async () => {
    const children = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`g${i}`, group({}, {})]));
    const bytes = file(group({}, { ...children, long: group({ weight_names: many('w') }, {}) }));
    expect((await refusedOf(open(bytes))).code).toBe('VGG_FORMAT'); // sound, and without weights
    const view = new DataView(bytes.buffer);
    const entries: number[] = [];
    for (let at = 0; at + 8 <= bytes.length; at += 8) {
      if (String.fromCharCode(...bytes.subarray(at, at + 4)) !== 'SNOD') continue;
      for (let i = 0; i < view.getUint16(at + 6, true); i++) entries.push(at + 8 + 40 * i + 8);
    }
    // The object header of the group that is long has the most bytes; all names are made to lead there.
    const headers = entries.map((at) => Number(view.getBigUint64(at, true)));
    const longest = headers.reduce((best, header) => (view.getUint32(header + 8, true) > view.getUint32(best + 8, true) ? header : best));
    for (const at of entries) view.setBigUint64(at, BigInt(longest), true);
    await refuses(open(bytes), 'VGG_INTEGRITY', /bytes of HDF5 metadata/);
  });

  test('a text that is the value of many attributes', async () => {
    const texts = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`text ${i}`, 't']));
    const bytes = file(group({ first: 'x'.repeat(500_000), ...texts }, { w: tensor() }));
    const view = new DataView(bytes.buffer);
    const heap = find(bytes, 'GCOL');
    let count = 0;
    for (let at = 4; at + 12 <= bytes.length; at += 4) {
      if (view.getBigUint64(at, true) !== BigInt(heap) || view.getUint32(at + 8, true) > 301) continue;
      view.setUint32(at - 4, 500_000, true);
      view.setUint32(at + 8, 1, true);
      count++;
    }
    expect(count).toBe(301);
    await refuses(open(bytes), 'VGG_INTEGRITY', /bytes of HDF5 metadata/);
  });
});

function find(bytes: Uint8Array, signature: string): number {
  for (let at = 0; at < bytes.length; at += 8) if (String.fromCharCode(...bytes.subarray(at, at + 4)) === signature) return at;
  throw new Error(`no ${signature}`);
}

const refusedOf = (work: Promise<unknown>): Promise<{ code?: string }> =>
  work.then(
    () => ({}),
    (error: { code?: string }) => error,
  );
