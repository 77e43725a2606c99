import { expect, test } from 'vitest';
import { zipArchive } from '../../src/formats/zip-archive.js';
import { bytesSource, encodeNpy, openWeights } from '../../src/index.js';
import { fixture, refuses } from '../helpers.js';
import { buildZip } from './helpers.js';

const formats = [zipArchive];

test.each([
  ['numpy/vgg16-frossard.npz', 'npz', 'conv1_1_W'],
  ['keras/named.keras', 'keras-zip', 'block1_conv1/kernel'],
])('%s is known by its members', async (name, format, tensor) => {
  const file = await openWeights(bytesSource(await fixture(name), 'renamed.bin'), { formats });
  expect(file.format).toBe(format);
  expect([...file.tensors.keys()]).toContain(tensor);
});

test('a data.pkl is given to the reader of PyTorch files, whatever else is there', async () => {
  const bytes = await buildZip([
    { name: 'a/data.pkl', data: new TextEncoder().encode('cos\nsystem\n.') },
    { name: 'a.npy', data: encodeNpy(new Float32Array(1), [1]) },
  ]);
  await refuses(openWeights(bytesSource(bytes, 'x.pth'), { formats }), 'VGG_INTEGRITY', /./);
});

const named = (...names: string[]) => names.map((name) => ({ name }));
test.each([
  [named('train/ant/1.jpg', 'train/bee/2.JPEG', 'labels.csv'), /received one of 2 pictures; unpack it first/],
  [named('vgg/readme.txt', 'vgg/vgg16.caffemodel'), /weight files \(vgg\/vgg16\.caffemodel\); unpack it and open that$/],
  [named('saved/model.json', 'saved/a.h5', 'x.bin'), /weight files \(saved\/model\.json and 1 more\); unpack it and open one of them$/],
  [named('word/document.xml', 'b', 'c', 'd'), /received one of 4 other files \(word\/document\.xml, b, c \.\.\.\)/],
  [named('empty/'), /received one of no files/],
])('an archive of others says what is in it', async (members, sentence) => {
  await refuses(openWeights(bytesSource(await buildZip(members), 'x.zip'), { formats }), 'VGG_FORMAT', sentence);
});
