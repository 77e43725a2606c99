// CommonJS code of today's Node may require an ES module that has no top-level await.
const { load, network, summarize } = require('vgg');
const { join } = require('node:path');

async function main() {
  const model = await load(undefined, { weights: join(__dirname, 'small.safetensors') });
  const map = await model.extract(join(__dirname, 'picture.png'), 'relu2_2');
  model.dispose();
  console.log(JSON.stringify({ parameters: summarize(network('vgg16')).parameters, relu2_2: [...map.data] }));
}
main();
