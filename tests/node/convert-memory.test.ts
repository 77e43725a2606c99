// What a conversion allocates: whatever the two formats are, each tensor once at most, and the pieces it is read and written in.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canonicalTensors, type StoredType, WRITERS, type Writer } from '@vgg/loaders';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { watchAllocations } from '../../packages/loaders/test/fuzz/allocations.js';
import { convert } from '../../packages/vgg/src/convert/convert.js';
import { network } from '../../packages/vgg/src/network/architecture.js';
import { weightSpecs } from '../../packages/vgg/src/weights/specs.js';
import { smallFile } from '../../packages/vgg/test/small-weights.js';

/** fc6 has 8 MiB and fc7 4. */
const PLAN = { name: 'wide', blocks: [[8], [16]], dense: [2048, 512], classes: 10, size: 32 };
const MIB = 2 ** 20;
const SIZES = weightSpecs(network(PLAN))
  .flatMap(canonicalTensors)
  .map(({ shape }) => 4 * shape.reduce((product, side) => product * side, 1));
const LARGEST = Math.max(...SIZES);
const ALL = SIZES.reduce((sum, size) => sum + size, 0);
/** Formats whose dense weights are in another order than ours: there each tensor has to be in memory once. */
const REORDERED: ReadonlySet<string> = new Set(['onnx', 'caffemodel']);
/** For each tensor a piece to read, of 1 MiB, and one to write, of 4 at most: what was handed on is not left for the collector. */
const PIECES = SIZES.reduce((sum, size) => sum + Math.min(MIB, size) + Math.min(4 * MIB, size), 0);
/** What is read of a file before its tensors, and kept from one read to the next. */
const INDEX = MIB;

let folder: string;
const path = ({ id, endings }: Writer, name = id) => join(folder, name, id === 'tfjs' ? 'model.json' : `weights.${endings[0]}`);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-memory-'));
  const original = join(folder, 'wide.safetensors');
  await writeFile(original, await smallFile(PLAN));
  for (const name of [...WRITERS.map(({ id }) => id), 'out']) await mkdir(join(folder, name));
  for (const writer of WRITERS) await convert(original, path(writer), { arch: PLAN });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function taken(work: () => Promise<unknown>): Promise<{ largest: number; total: number }> {
  const allocations = watchAllocations();
  try {
    await work();
    return allocations.taken();
  } finally {
    allocations.restore();
  }
}

function expectPieces({ largest, total }: { largest: number; total: number }, isWhole: boolean): void {
  expect(largest).toBeLessThanOrEqual(isWhole ? LARGEST : MIB);
  expect(total).toBeLessThanOrEqual((isWhole ? ALL : 0) + PIECES + INDEX);
}

test.each(WRITERS.flatMap((from) => WRITERS.map((to): [string, string, Writer, Writer] => [from.id, to.id, from, to])))(
  '%s to %s',
  async (_, __, from, to) => {
    const found = await taken(() => convert(path(from), path(to, 'out'), { arch: PLAN }));
    expectPieces(found, REORDERED.has(from.id) || REORDERED.has(to.id));
  },
);

test.each<[StoredType, boolean]>([
  ['float16', false],
  // The scales and palettes are known once all values are.
  ['int8', true],
  ['int4', true],
])('safetensors as %s', async (dtype, isWhole) => {
  const writer = WRITERS.find(({ id }) => id === 'safetensors')!;
  expectPieces(await taken(() => convert(path(writer), path(writer, 'out'), { arch: PLAN, dtype })), isWhole);
});
