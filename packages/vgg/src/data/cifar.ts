import { VggError } from '@vgg/errors';
import { type ReadOptions, readInto, type Source } from '@vgg/loaders';
import type { DeferredImage } from '../pictures/deferred.js';
import type { RawImage } from '../pictures/raw.js';
import type { Dataset, Example } from './example.js';

/**
 * The binary version of CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009): records of a
 * label byte, in CIFAR-100 of two, and 32 x 32 pixels, all red ones first, then the green, then the blue.
 */
const SIDE = 32;
const PLANE = SIDE * SIDE;
const PIXELS = 3 * PLANE;
/** Records read at a time. */
const STEP = 512;

const CIFAR10 = 'airplane automobile bird cat deer dog frog horse ship truck'.split(' ');
const CIFAR100 = (
  'apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle caterpillar cattle ' +
  'chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house ' +
  'kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange ' +
  'orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal ' +
  'shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger ' +
  'tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm'
).split(' ');

interface Kind {
  readonly classes: readonly string[];
  /** Bytes before the pixels; the last one is the label. */
  readonly head: number;
}
const KINDS: readonly Kind[] = [
  { classes: CIFAR10, head: 1 },
  { classes: CIFAR100, head: 2 },
];

const isCifarName = (name: string): boolean => /\.bin$/i.test(name);

/** What kind of CIFAR file this is by its size and first labels; undefined for none. */
export async function cifarKind(source: Source, options: ReadOptions = {}): Promise<Kind | undefined> {
  if (source.size === 0 || !isCifarName(source.name)) return undefined;
  for (const kind of KINDS) {
    const size = kind.head + PIXELS;
    if (source.size % size !== 0) continue;
    const count = Math.min(8, source.size / size);
    const heads = await Promise.all(Array.from({ length: count }, (_, i) => source.read(i * size, kind.head, options)));
    if (heads.every((head) => head.at(-1)! < kind.classes.length)) return kind;
  }
  return undefined;
}

/**
 * A CIFAR file; its labels are read now, pictures as raw pixels when their turn comes.
 * @throws VggError `VGG_INTEGRITY` for a label that the classes do not have
 */
export async function openCifar(source: Source, { classes, head }: Kind, options: ReadOptions = {}): Promise<Dataset> {
  const size = head + PIXELS;
  const count = source.size / size;
  const memory = new Uint8Array(STEP * size);
  const examples: Example[] = [];
  for (let first = 0; first < count; first += STEP) {
    const piece = memory.subarray(0, Math.min(STEP, count - first) * size);
    await readInto(source, piece, first * size, options);
    for (let at = 0; at < piece.length; at += size) {
      const place = examples.length;
      const label = piece[at + head - 1]!;
      if (label >= classes.length) {
        throw new VggError(
          'VGG_INTEGRITY',
          `${source.name}: expected labels below ${classes.length}, received ${label} in record ${place} at byte ${place * size}; fetch the file again`,
        );
      }
      const image = record(source, place, place * size + head);
      examples.push({ image, label, name: image.name! });
    }
  }
  return { classes, examples, skipped: [] };
}

function record(source: Source, place: number, offset: number): DeferredImage {
  return {
    name: `${source.name}#${place}`,
    open: async ({ signal }) => interleaved(await source.read(offset, PIXELS, signal ? { signal } : {})),
  };
}

function interleaved(planes: Uint8Array): RawImage {
  const data = new Uint8Array(PIXELS);
  for (let i = 0, to = 0; i < PLANE; i++, to += 3) {
    data[to] = planes[i]!;
    data[to + 1] = planes[PLANE + i]!;
    data[to + 2] = planes[2 * PLANE + i]!;
  }
  return { data, width: SIDE, height: SIDE, channels: 3 };
}
