import { describe, test } from 'vitest';
import { unpickle } from '../../src/formats/pickle/machine.js';
import { scriptGlobal, storageOf, torchGlobal } from '../../src/formats/torch/globals.js';
import { bytesSource } from '../../src/index.js';
import { refuses } from '../helpers.js';
import { little, long, pickle, text } from '../pickle/helpers.js';

/** A dict of so many numbers, kept as value 1 of the memory. */
const dictOf = (count: number) => [
  '}q\x01(',
  ...Array.from({ length: count }, (_, i) => `J${String.fromCharCode(...little(i, 4))}K\x00`),
  'u',
];

describe('a few bytes that ask for much work', () => {
  test('a module that is given one long state again and again', async () => {
    const bytes = pickle('\x80\x02', ...dictOf(30_000), '0c__torch__\nM\n)\x81', 'h\x01b'.repeat(50_000), '.');
    await refuses(unpickle(bytesSource(bytes), 0, { globals: scriptGlobal }), 'VGG_INTEGRITY', /at most \d+ steps/);
  });

  test('tensors that all have one long dict of bits', async () => {
    const storage = `(${text('storage')}ctorch\nFloatStorage\n${text('0')}${text('cpu')}K\x01tQ`;
    const tensor = `ctorch._utils\n_rebuild_tensor_v2\n(h\x02${long(0)}))\x89}h\x01tR0`;
    const bytes = pickle('\x80\x02', ...dictOf(30_000), '0', storage, 'q\x02', tensor.repeat(1000), 'N.');
    const persistent = (id: Parameters<typeof storageOf>[0]) => storageOf(id, 'x');
    await refuses(unpickle(bytesSource(bytes), 0, { globals: torchGlobal, persistent }), 'VGG_INTEGRITY', /at most \d+ steps/);
  });
});
