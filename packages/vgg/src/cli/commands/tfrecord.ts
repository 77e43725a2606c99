import { didYouMean } from '../../text/suggest.js';
import { command } from '../command.js';
import { UsageError } from '../exit.js';
import { create, extract, list } from '../tfrecord.js';

const ARGUMENTS = { create: ['DATASET', 'OUT'], list: ['FILE'], extract: ['FILE', 'DIR'] } as const;
type Verb = keyof typeof ARGUMENTS;

export const tfrecord = command({
  name: 'tfrecord',
  about: "writes pictures in classes as TensorFlow's records, and shows or unpacks such files",
  args: 'create DATASET OUT | list FILE | extract FILE DIR',
  details:
    'DATASET is a folder of class folders, a zip archive of them, a CIFAR .bin or a list of pictures. Labels are numbers from 0 in the order of the class names. --encoded keeps each picture file under the names of TensorFlow\'s own data sets (image/encoded, image/class/label ...); --raw has "label" and "data", N x N x 3 bytes of pixels. list reads the whole file and checks every checksum; a corrupt record is named by its number and place. extract writes DIR/CLASS/000000.jpg, pixels as .png.',
  least: 2,
  most: 3,
  flags: {
    raw: { type: 'boolean', about: 'create: pixels, squashed to --size' },
    encoded: { type: 'boolean', about: 'create: the picture files as they are (the default)' },
    size: { type: 'integer', value: 'N', least: 1, most: 4096, about: 'create: pixels of a side; means --raw', defaultText: '32' },
    gzip: { type: 'boolean', about: 'create: pack each file as a whole; readers must be told so (compression_type="GZIP")' },
    shards: { type: 'integer', value: 'N', least: 1, most: 99999, about: 'create: files OUT-00000-of-0000N', defaultText: 'one file, OUT' },
    shuffle: { type: 'boolean', about: 'create: in an order drawn by --seed, else class by class' },
    classes: { type: 'list', value: 'A,B', about: 'create: only these classes, labelled in this order', defaultText: 'all' },
  },
  examples: [
    ['vgg tfrecord create photos/ train.tfrecord --size 32 --shuffle --seed 1', 'pixels of 32 x 32, for decode_raw'],
    ['vgg tfrecord create train.zip train.tfrecord --shards 8', 'picture files in eight shards, for decode_jpeg'],
    ['vgg tfrecord list train.tfrecord', 'features, classes and counts; every checksum is looked at'],
    ['vgg tfrecord extract train.tfrecord photos/', 'a folder for each class'],
  ],
  async run([verb = '', ...args], values, context) {
    if (!isVerb(verb)) {
      const verbs = Object.keys(ARGUMENTS);
      throw new UsageError(`vgg tfrecord: expected ${verbs.join(', ')}, received "${verb}"${didYouMean(verb, verbs)}`);
    }
    const expected = ARGUMENTS[verb];
    if (args.length !== expected.length)
      throw new UsageError(`vgg tfrecord ${verb}: expected ${expected.join(' and ')}, received ${args.length} of ${expected.length}`);
    const [first, second] = args as [string, string];
    const { raw, encoded, size, gzip, shards, shuffle, classes } = values;
    if (verb === 'list') return list(first, context);
    if (verb === 'extract') return extract(first, second, context);
    if (encoded && (raw || size !== undefined))
      throw new UsageError('vgg tfrecord create: expected --encoded or --raw (--size), received both');
    return create(first, second, { raw: raw || size !== undefined, size, gzip, shards, shuffle, classes }, context);
  },
});

const isVerb = (verb: string): verb is Verb => Object.hasOwn(ARGUMENTS, verb);
