// Article 0: photographs in folders to TFRecords, and VGG-19 for small pictures trained from them.
//   node examples/articles/0-tfrecords.mjs FOLDER [--out runs/tfrecords] [--raw] [--list 3]
//        [--arch vgg19_3pool] [--epochs 10] [--batch 64] [--rate 1e-4] [--keep 0.8] [--validation 0.2]
//        [--every 10] [--checkpoint-every 1000] [--resume] [--max-memory 3500] [--backend auto] [--seed 0]
// FOLDER has a folder for each class, under any names. --raw writes the article's own form: a number and 32 x 32 x 3 bytes.
// --max-memory is in millions of bytes: weights, gradients and Adam's two averages of 70 million parameters take 2265.
// --keep is the part of the hidden units that is kept while training. Ctrl-C writes a checkpoint, and --resume goes on from it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  datasetExamples,
  decodeExample,
  epochOrder,
  network,
  openCheckpoints,
  openDataset,
  readTfRecords,
  summarize,
  trainNetwork,
  writeTfRecords,
} from 'vgg';
import { archOf, percent, start } from './common.mjs';

const number = (value) => ({ type: 'string', default: value });
const options = {
  out: { type: 'string', default: 'runs/tfrecords' },
  raw: { type: 'boolean', default: false },
  list: number('3'),
  arch: { type: 'string', default: 'vgg19_3pool' },
  epochs: number('10'),
  batch: number('64'),
  rate: number('1e-4'),
  keep: number('0.8'),
  validation: number('0.2'),
  every: number('10'),
  'checkpoint-every': number('1000'),
  resume: { type: 'boolean', default: false },
  'max-memory': number('3500'),
  backend: { type: 'string', default: 'auto' },
  seed: number('0'),
};

await start(import.meta.url, options, async (values, [folder], signal) => {
  if (folder === undefined) throw new Error('usage: node examples/articles/0-tfrecords.mjs FOLDER [options]; --help says more');
  const [seed, every, size] = [Number(values.seed), Number(values.every), 32];
  const records = join(values.out, 'pictures.tfrecord');

  // The records: pictures of any kind become RGB, classes have their names, and their order is drawn over all of them.
  const pictures = await openDataset(folder, { signal });
  if (!(values.resume && existsSync(records))) {
    const order = epochOrder(pictures.examples.length, { seed, epoch: 0 });
    const form = values.raw ? 'raw' : 'encoded';
    const onFailed = (name, error) => console.error(`${name} is left out: ${error.message}`);
    const count = await writeTfRecords(records, datasetExamples(pictures, { form, size, order, onFailed, signal }), {
      makeFolder: true,
      signal,
    });
    console.log(`${count} records of ${pictures.classes.length} classes (${pictures.classes.join(', ')}): ${records}`);
  }
  for await (const { index, data } of readTfRecords(records)) {
    if (index >= Number(values.list)) break;
    const example = decodeExample(data);
    const label = example.get('image/class/text')?.bytesList[0] ?? example.get('label').int64List[0];
    const bytes = (example.get('image/encoded') ?? example.get('data')).bytesList[0].length;
    console.log(`record ${index}: ${typeof label === 'object' ? new TextDecoder().decode(label) : label}, ${bytes} bytes`);
  }

  // The network: pools 1, 2 and 5 only, dropout behind fc6 and fc7, and no ReLU behind the scores.
  const arch = archOf(values.arch);
  const dropout = Number((1 - values.keep).toFixed(6));
  const summary = summarize(network(arch, { classes: pictures.classes.length, size }));
  for (const { name, kind, output } of summary.rows) if (kind !== 'relu') console.log(`${name} [batch, ${output.join(', ')}]`);
  console.log(`${summary.name}: ${summary.parameters.toLocaleString('en')} parameters`);

  const trained = await trainNetwork({ arch }, records, {
    network: { dropout },
    size,
    initialize: { initializer: 'glorot-uniform' },
    optimizer: { algorithm: 'adam' },
    rate: Number(values.rate),
    epochs: Number(values.epochs),
    batch: Number(values.batch),
    validation: Number(values.validation) || undefined,
    checkpoints: await openCheckpoints(join(values.out, 'checkpoints')),
    checkpointEvery: Number(values['checkpoint-every']),
    resume: values.resume,
    maxMemoryBytes: Number(values['max-memory']) * 1e6,
    backend: values.backend,
    seed,
    signal,
    onStep({ step, loss, accuracy }) {
      if (step % every === 0) console.log(`step ${step}: loss ${loss.toFixed(8)}, accuracy ${percent(accuracy)}`);
    },
    onEpoch({ epoch, loss, accuracy, valLoss, valAccuracy }) {
      const held = valLoss === undefined ? '' : `; held out: loss ${valLoss.toFixed(8)}, accuracy ${percent(valAccuracy)}`;
      console.log(`epoch ${epoch}: loss ${loss.toFixed(8)}, accuracy ${percent(accuracy)}${held}`);
    },
  });
  await trained.save(join(values.out, 'net.safetensors'));
  trained.dispose();
  console.log(`kept epoch ${trained.best.epoch}: ${join(values.out, 'net.safetensors')}`);
});
