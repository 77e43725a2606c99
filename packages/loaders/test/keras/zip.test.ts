import { describe, expect, test } from 'vitest';
import { openKerasZip } from '../../src/formats/keras/zip.js';
import { openZip, readEntry } from '../../src/formats/zip/index.js';
import { bytesSource, canonicalise, type Source } from '../../src/index.js';
import keras from '../fixtures/keras/keras-zip.json';
import { fixture, refuses } from '../helpers.js';
import { table } from '../vgg.js';
import { buildZip, type Member } from '../zip/helpers.js';

const WEIGHTS = keras.weights as unknown as Record<string, number[]>;

async function openSource(source: Source) {
  return openKerasZip(await openZip(source), source);
}
const open = async (name: string) => openSource(bytesSource(await fixture(`keras/${name}`), name));
const openBuilt = async (members: Member[]) => openSource(bytesSource(await buildZip(members), 'x.keras'));

describe('files that Keras wrote', () => {
  test.each(['named.keras', 'deflated.keras', 'class-names.keras'])('%s has the names and values that Keras says', async (name) => {
    const file = await open(name);
    expect(file.format).toBe('keras-zip');
    expect([...file.tensors.keys()].sort()).toEqual(Object.keys(WEIGHTS).sort());
    for (const [tensor, first] of Object.entries(WEIGHTS)) {
      expect([...(await file.read(tensor)).slice(0, 4)], tensor).toEqual(first);
      const pieces: number[] = [];
      for await (const piece of file.stream(tensor)) pieces.push(...piece);
      expect(pieces.slice(0, 4), tensor).toEqual(first);
    }
    expect(file.tensors.get('block1_conv2/kernel')).toMatchObject({
      name: 'block1_conv2/kernel',
      storedAs: 'layers/sequential/layers/conv2d_1/vars/0',
    });
    const { missing, unknown } = canonicalise(file, [...table([[4, 4]]), { name: 'bn1_2', kind: 'batchnorm', shape: [4] }]);
    expect([missing, unknown]).toEqual([[], ['predictions/kernel', 'predictions/bias']]);
  });

  test('what it says of itself', async () => {
    const { metadata } = await open('named.keras');
    expect(metadata.get('keras_version')).toBe(keras.keras);
    expect(JSON.parse(metadata.get('model_config')!)).toMatchObject({ class_name: 'Sequential' });
  });

  test('its layers, those of the nested model among them', async () => {
    const layers = (await open('named.keras')).graph?.layers ?? [];
    const weighted = layers.filter(({ kind }) => kind === 'conv' || kind === 'batchnorm' || kind === 'dense');
    expect(weighted.map(({ name }) => name)).toEqual(['block1_conv1', 'block1_conv2', 'block1_bn2', 'predictions']);
  });

  test('closes its source with it', async () => {
    let closed = 0;
    const file = await openSource({ ...bytesSource(await fixture('keras/named.keras'), 'a.keras'), close: async () => void closed++ });
    await file.close();
    expect(closed).toBe(1);
    const other = await open('class-names.keras');
    await refuses(other.read('conv2d/kernel'), 'VGG_WEIGHTS_MISSING', /"conv2d\/kernel"/);
  });
});

describe('refused', () => {
  const h5 = () => fixture('hdf5/soft-link.h5');

  test('weights that are missing, or no HDF5', async () => {
    await refuses(
      openBuilt([{ name: 'config.json', data: new TextEncoder().encode('{}') }]),
      'VGG_FORMAT',
      /model\.weights\.h5 in the archive/,
    );
    await refuses(openBuilt([{ name: 'model.weights.h5', data: new Uint8Array(100) }]), 'VGG_FORMAT', /x\.keras/);
  });

  test('a configuration that is no JSON, is deeper than any, or has a name twice', async () => {
    const config = async (text: string) =>
      openBuilt([
        { name: 'config.json', data: new TextEncoder().encode(text) },
        { name: 'model.weights.h5', data: await h5() },
      ]);
    await refuses(config('{'), 'VGG_FORMAT', /config\.json: expected JSON/);
    await refuses(config('['.repeat(100)), 'VGG_INTEGRITY', /deep/);
    await refuses(config('{"a":1,"a":2}'), 'VGG_INTEGRITY', /twice/);
  });

  test('a configuration that counts otherwise names nothing', async () => {
    const zip = await openZip(bytesSource(await fixture('keras/class-names.keras')));
    const config = new TextDecoder().decode(await readEntry(zip, 'config.json', 1e6)).replaceAll('"block1_conv2"', '"block1_conv1"');
    const data = await readEntry(zip, 'model.weights.h5', 1e6);
    for (const text of [config, config.replaceAll('"Conv2D"', '"Conv3D"')]) {
      const members = [
        { name: 'config.json', data: new TextEncoder().encode(text) },
        { name: 'model.weights.h5', data },
      ];
      expect([...(await openBuilt(members)).tensors.keys()]).toContain('conv2d_1/kernel');
    }
  });

  test('layers that are none name nothing', async () => {
    const original = await fixture('keras/class-names.keras');
    const zip = await openZip(bytesSource(original));
    const data = await readEntry(zip, 'model.weights.h5', 1e6);
    for (const text of [
      '[]',
      '{"config":{"layers":[1,null,{"class_name":"Conv2D"},{"class_name":5,"config":{"name":"x"}}]}}',
      '{"config":{"layers":{}}}',
    ]) {
      const file = await openBuilt([
        { name: 'config.json', data: new TextEncoder().encode(text) },
        { name: 'model.weights.h5', data },
      ]);
      expect([...file.tensors.keys()]).toContain('conv2d_1/kernel');
    }
  });

  test('weights deflated to next to nothing (a bomb)', async () => {
    const size = 2 ** 27;
    const say = { size };
    const bomb = { name: 'model.weights.h5', packed: new Uint8Array(size / 1000), deflate: true, local: say, central: say };
    await refuses(
      openBuilt([bomb]),
      'VGG_INTEGRITY',
      /at most 67108864 bytes in "model\.weights\.h5", packed to 134217, received 134217728; unpack it/,
    );
  });
});
