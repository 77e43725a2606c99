// Articles 1 to 3: VGG-16 built layer by layer, counted, initialised, and begun with layers of column A.
//   node examples/articles/3-builder.mjs [--weights A] [--seed 0] [--bias 0.1]
// A is a weight file of a trained vgg11 (vgg11.pth, .h5, .safetensors ...); without it A is drawn at random too.
import { openAsBlob } from 'node:fs';
import { compareStack, formatSummary, INITIALIZERS, initialWeights, network, summarize, transplant } from 'vgg';
import { blobSource, openWeights } from 'vgg/loaders';
import { start } from './common.mjs';

/** The article's three functions: each adds to a plan. */
const conv_op = (n_out) => (plan) => plan.blocks.at(-1).push(n_out);
const mpool_op = () => (plan) => {
  plan.pools.push(plan.blocks.length);
  plan.blocks.push([]);
};
const fc_op = (n_out) => (plan) => plan.dense.push(n_out);

/** Calls to a plan; the last dense layer gives the scores, and has no ReLU. */
function planOf(calls) {
  const plan = { name: 'vgg16', blocks: [[]], pools: [], dense: [] };
  for (const call of calls) call(plan);
  return {
    ...plan,
    blocks: plan.blocks.filter(({ length }) => length > 0),
    dense: plan.dense.slice(0, -1),
    classes: plan.dense.at(-1),
    dropout: 0.5,
  };
}

const calls = [
  ...[conv_op(64), conv_op(64), mpool_op()],
  ...[conv_op(128), conv_op(128), mpool_op()],
  ...[conv_op(256), conv_op(256), conv_op(256), mpool_op()],
  ...[conv_op(512), conv_op(512), conv_op(512), mpool_op()],
  ...[conv_op(512), conv_op(512), conv_op(512), mpool_op()],
  ...[fc_op(4096), fc_op(4096), fc_op(1000)],
];

const deviation = (values) => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
const grouped = (count) => count.toLocaleString('en');

await start(
  import.meta.url,
  { weights: { type: 'string' }, seed: { type: 'string', default: '0' }, bias: { type: 'string', default: '0.1' } },
  async (values) => {
    const seed = Number(values.seed);
    const vgg16 = network(planOf(calls));
    const summary = summarize(vgg16);
    console.log(formatSummary(summary));
    console.log(`\nparameters ${grouped(summary.parameters)}, weights without biases ${grouped(summary.parameters - summary.biases)}`);
    console.log(`behind the scores: ${vgg16.layers.at(-1).kind}, no ReLU`);

    console.log('\ncolumn  convolutions by block  parameters');
    for (const column of ['A', 'A-LRN', 'B', 'C', 'D', 'E']) {
      const { plan, ...net } = network(column);
      const blocks = plan.blocks.map(({ length }) => length).join(' ');
      console.log(`${column.padEnd(6)}  ${blocks.padEnd(21)}  ${(summarize(net).parameters / 1e6).toFixed(0)} M`);
    }

    console.log('');
    for (const depth of [2, 3]) {
      const { receptiveField, stacked, single, ratio } = compareStack(depth, 512);
      console.log(
        `${depth} of 3x3 see ${receptiveField}x${receptiveField}: ${stacked / 512 ** 2} C^2 weights for ${single / 512 ** 2} C^2, ${(100 * ratio).toFixed(1)} %`,
      );
    }
    const seen = summary.rows.filter(({ kind }) => kind === 'conv' || kind === 'pool');
    console.log(
      `receptive field/stride: ${seen.map(({ name, receptiveField, stride }) => `${name} ${receptiveField}/${stride}`).join(', ')}`,
    );

    console.log('');
    for (const initializer of INITIALIZERS) {
      const file = initialWeights(vgg16, { initializer, bias: Number(values.bias), seed });
      const [weight, bias] = [await file.read('conv3_2.weight'), await file.read('conv3_2.bias')];
      console.log(`${initializer}: conv3_2 deviation ${deviation(weight).toFixed(4)}, biases ${bias[0].toFixed(1)}`);
    }

    // Section 3.1 of the paper: four convolutions and three dense layers of a trained A, the rest at random; see docs/recipes.md.
    const a = values.weights
      ? await openWeights(blobSource(await openAsBlob(values.weights), values.weights))
      : initialWeights(network('A'), { initializer: 'normal', seed: seed + 1 });
    const { file, copied, initialized } = transplant(a, vgg16, { initializer: 'normal', seed, arch: 'A' });
    console.log(`\nfrom A: ${copied.join(' ')}; at random: ${initialized.join(' ')}`);
    const drawn = await initialWeights(vgg16, { initializer: 'normal', seed }).read('conv1_2.weight');
    const fresh = await file.read('conv1_2.weight');
    await a.close();
    console.log(`conv1_2 is drawn from the seed: ${fresh.every((value, i) => value === drawn[i])}`);
  },
);
