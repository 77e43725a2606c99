// The main job from end to end: features of a layer, a head trained on them, new pictures named with it, and a report. Nothing is fetched.
//   npm start                                        the small network inside the package, on pictures that are drawn here
//   npm start -- --arch vgg16                        VGG-16: fetches the 58.9 MB of its convolutions once
//   npm start -- --weights FILE [--pictures FOLDER]  your own weights, your own class folders
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { load, loadHead, toNpy, trainHead, trainingReport } from 'vgg';
import { drawClasses } from './drawings.mjs';

const { values: options } = parseArgs({
  options: {
    arch: { type: 'string' },
    weights: { type: 'string' },
    pictures: { type: 'string' },
    layer: { type: 'string' },
    size: { type: 'string' },
    backend: { type: 'string', default: 'auto' },
    out: { type: 'string', default: 'tour' },
  },
});

/** Progress on standard error, one line that renews itself on a terminal. */
function show({ stage, loaded, total }) {
  if (!process.stderr.isTTY) return;
  const of = total ? ` of ${total}` : '';
  process.stderr.write(`\r\x1b[K${stage} ${loaded}${of}${loaded === total ? '\r\x1b[K' : ''}`);
}

async function tour() {
  const out = resolve(options.out);
  const title = (text) => console.log(`\n${text}\n${'-'.repeat(text.length)}`);
  const shown = (path) => relative(process.cwd(), path);

  title('1. Load');
  const model = await load(options.arch, { weights: options.weights, backend: options.backend, onProgress: show });
  // The small network was made for pictures of 32x32, VGG-16 for 224x224; both look at larger and smaller ones too. What is
  // drawn here are textures, which its middle layers tell best.
  const isSmall = model.network.name === 'compact';
  const layer = model.resolve(options.layer ?? (isSmall ? 'relu3_1' : model.deepest));
  const size = Number(options.size ?? (isSmall ? 96 : 128));
  console.log(`${model.network.name} on ${model.backend.name}: ${model.backend.reason}`);
  console.log(
    `weights: ${model.weights.name} (${model.weights.format}), preprocessing ${model.preprocessing.name}; the deepest tap is ${model.deepest}`,
  );

  title('2. Pictures');
  const folder = options.pictures ?? join(out, 'pictures');
  if (!options.pictures) {
    await drawClasses(join(folder, 'train'), 40, 1);
    await drawClasses(join(folder, 'new'), 10, 2);
    console.log(`drew 120 pictures to learn from and 30 new ones below ${shown(folder)}`);
  }
  const training = options.pictures ?? join(folder, 'train');

  title('3. Features');
  await mkdir(out, { recursive: true });
  const sample = options.pictures ? undefined : join(training, 'dots', 'dots-00.png');
  if (sample) {
    const started = performance.now();
    const map = await model.extract(sample, layer, { size, onProgress: show });
    const largest = map.data.reduce((a, b) => Math.max(a, b), 0);
    console.log(
      `${layer} of ${shown(sample)}: [${map.shape}], largest value ${largest.toFixed(1)}, ${Math.round(performance.now() - started)} ms with reading the weights`,
    );
    await writeFile(join(out, `${layer}.npy`), toNpy(map));
    console.log(`numpy.load reads it from ${shown(join(out, `${layer}.npy`))}`);
  }

  title('4. Train a head');
  const started = performance.now();
  const head = await trainHead(model, training, { layer, pooling: 'average', size, validation: 0.25, seed: 0, onProgress: show });
  const { best, classes, history, evaluation } = head;
  console.log(`classes: ${classes.join(', ')}`);
  console.log(
    `validation accuracy ${(best.valAccuracy * 100).toFixed(1)} %, loss ${best.valLoss.toFixed(4)}, in ${((performance.now() - started) / 1000).toFixed(1)} s`,
  );
  const file = join(out, 'head.safetensors');
  await head.save(file);
  const report = join(out, 'report.html');
  await writeFile(
    report,
    trainingReport({ title: `A head on ${layer} of ${model.network.name}`, classes, history, unit: 'step', best, evaluation, seed: 0 }),
  );
  console.log(`saved ${shown(file)}, and ${shown(report)} with the curves and the confusion matrix`);

  title('5. Use it');
  const again = await loadHead(file, model);
  if (options.pictures) {
    const { name } = model.weights;
    console.log(`npx vgg predict PICTURES --head ${shown(file)} --weights ${options.weights ?? name}`);
  } else {
    for (const name of classes) {
      const picture = join(folder, 'new', name, `${name}-00.png`);
      const [first] = await again.predict(picture);
      console.log(`${shown(picture)}: ${first.label} (${(first.probability * 100).toFixed(1)} %)`);
    }
    const { top1, images } = await again.evaluate(join(folder, 'new'));
    console.log(`${(top1 * 100).toFixed(1)} % of ${images} new pictures right`);
  }
  model.dispose();
}

try {
  await tour();
} catch (error) {
  console.error(`\n${error.message}${error.code ? ` [${error.code}]` : ''}`);
  process.exitCode = 1;
}
