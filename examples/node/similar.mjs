// Which pictures of a folder look most like one picture? Cosine similarity of VGG embeddings.
//   node examples/node/similar.mjs PICTURE FOLDER [--weights FILE] [--layer pool5] [--size N] [--top 10]
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { load } from 'vgg';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { weights: { type: 'string' }, layer: { type: 'string' }, size: { type: 'string' }, top: { type: 'string', default: '10' } },
});
const [picture, folder] = positionals;

async function similar() {
  if (folder === undefined)
    throw new Error('usage: node examples/node/similar.mjs PICTURE FOLDER [--weights FILE] [--layer pool5] [--size N] [--top 10]');
  const model = await load('vgg16', { weights: values.weights });
  const options = { layer: values.layer, size: values.size && Number(values.size), normalize: true };
  const wanted = await model.embed(picture, options);
  const paths = (await readdir(folder)).filter((name) => /\.(jpe?g|png|webp|gif|avif)$/i.test(name)).map((name) => join(folder, name));
  const found = [];
  // One at a time from a list of any length; a picture that cannot be read costs only itself.
  for await (const { name, vector, error } of model.embedAll(paths, options)) {
    if (error) console.error(error.message);
    else found.push({ name, similarity: vector.reduce((sum, value, i) => sum + value * wanted[i], 0) });
  }
  model.dispose();
  found.sort((a, b) => b.similarity - a.similarity);
  for (const { name, similarity } of found.slice(0, Number(values.top))) console.log(similarity.toFixed(4), name);
}

try {
  await similar();
} catch (error) {
  console.error(`${error.message}${error.code ? ` [${error.code}]` : ''}`);
  process.exitCode = 1;
}
