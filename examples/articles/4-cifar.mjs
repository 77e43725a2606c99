// Article 4: VGG-16 with batch normalisation on three classes of CIFAR-10.
//   node examples/articles/4-cifar.mjs TRAIN TEST [--out runs/cifar] [--classes airplane,automobile,bird] [--arch cifar_vgg16_bn]
//        [--epochs 50] [--batch 128] [--rate 0.01] [--schedule constant|cosine|plateau] [--resume] [--backend auto] [--seed 0]
// TRAIN and TEST are folders of class folders, zip archives of them, or CIFAR's own .bin files.
// Writes net.safetensors (of the best epoch), curves.svg, report.html, grid.svg (predictions on test pictures) and checkpoints.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  batchesOf,
  evaluateProbabilities,
  load,
  openCheckpoints,
  openDataset,
  pictureGridSvg,
  trainingCurves,
  trainingReport,
  trainNetwork,
} from 'vgg';
import { archOf, percent, start } from './common.mjs';

const options = {
  out: { type: 'string', default: 'runs/cifar' },
  classes: { type: 'string', default: 'airplane,automobile,bird' },
  arch: { type: 'string', default: 'cifar_vgg16_bn' },
  epochs: { type: 'string', default: '50' },
  batch: { type: 'string', default: '128' },
  rate: { type: 'string', default: '0.01' },
  schedule: { type: 'string', default: 'constant' },
  resume: { type: 'boolean', default: false },
  backend: { type: 'string', default: 'auto' },
  seed: { type: 'string', default: '0' },
};
const GRID = 16;

await start(import.meta.url, options, async (values, [trainPath, testPath], signal) => {
  if (testPath === undefined) throw new Error('usage: node examples/articles/4-cifar.mjs TRAIN TEST [options]; --help says more');
  const { out, backend, schedule } = values;
  const [seed, epochs, classes] = [Number(values.seed), Number(values.epochs), values.classes.split(',')];
  const begin = performance.now();
  await mkdir(out, { recursive: true });
  const train = await openDataset(trainPath, { classes, signal });
  const test = await openDataset(testPath, { classes, signal });
  console.log(`${train.examples.length} pictures to train, ${test.examples.length} to test: ${classes.join(', ')}`);

  const net = await trainNetwork({ arch: archOf(values.arch) }, train, {
    validation: test,
    augment: 'cifar',
    optimizer: { algorithm: 'sgd', momentum: 0.9, weightDecay: 5e-4 },
    schedule: schedule === 'cosine' ? { kind: 'cosine', length: epochs, by: 'step' } : { kind: schedule },
    rate: Number(values.rate),
    batch: Number(values.batch),
    epochs,
    backend,
    seed,
    signal,
    checkpoints: await openCheckpoints(join(out, 'checkpoints')),
    resume: values.resume,
    onEpoch: ({ epoch, loss, accuracy, valLoss, valAccuracy, seconds }) =>
      console.log(
        `epoch ${epoch}: mean loss ${loss.toFixed(4)}, accuracy ${percent(accuracy)}; test: loss ${valLoss.toFixed(4)}, accuracy ${percent(valAccuracy)}; ${seconds.toFixed(0)} s`,
      ),
  });
  const { history, best } = net;
  console.log(
    `best epoch ${best.epoch}: ${percent(best.valAccuracy)}; last epoch ${history.at(-1).epoch}: ${percent(history.at(-1).valAccuracy)}`,
  );

  // Evaluation leaves the network as it is, and does not depend on what else is in a batch.
  const before = await net.toBytes();
  const [large, small] = [await net.evaluate(test, { batch: 100 }), await net.evaluate(test, { batch: 7 })];
  console.log(`evaluated in batches of 100 and of 7: ${percent(large.accuracy)} and ${percent(small.accuracy)} of ${large.images}`);
  console.log(`weights and running statistics are as before: ${Buffer.compare(before, await net.toBytes()) === 0}`);
  await writeFile(join(out, 'net.safetensors'), before);
  net.dispose();

  // The saved network is one like any other.
  const model = await load(undefined, { weights: before, backend });
  const all = { probabilities: [], labels: [] };
  const grid = { pictures: [], titles: [] };
  const wanted = new Set(Array.from({ length: GRID }, (_, i) => Math.floor((i * test.examples.length) / GRID)));
  for await (const { items, labels, indices } of batchesOf(test, { batch: 100, shuffle: false, signal })) {
    const found = await model.classify(items, { top: classes.length });
    found.forEach((predictions, i) => {
      for (const { probability } of predictions.toSorted((a, b) => a.index - b.index)) all.probabilities.push(probability);
      all.labels.push(labels[i]);
      if (!wanted.has(indices[i])) return;
      const [{ label, probability }] = predictions;
      const truth = classes[labels[i]];
      grid.pictures.push(items[i]);
      grid.titles.push(`${label} ${(100 * probability).toFixed(0)} %${label === truth ? '' : ` (${truth})`}`);
    });
  }
  model.dispose();
  await writeFile(join(out, 'grid.svg'), await pictureGridSvg(grid.pictures, { titles: grid.titles }));
  await writeFile(join(out, 'curves.svg'), trainingCurves(history, { best: best.epoch }));
  const evaluation = evaluateProbabilities(all.probabilities, all.labels, classes, { loss: large.loss });
  const { epoch } = best;
  const report = {
    title: `${net.network.name} on ${classes.length} classes`,
    classes,
    history,
    best: history[epoch - 1],
    evaluation,
  };
  const run = { batch: values.batch, rate: values.rate, momentum: 0.9, weightDecay: 5e-4, augment: 'cifar', schedule };
  await writeFile(join(out, 'report.html'), trainingReport({ ...report, options: run, seed, seconds: (performance.now() - begin) / 1000 }));
  console.log(`wrote net.safetensors, curves.svg, report.html and grid.svg to ${out}`);
});
