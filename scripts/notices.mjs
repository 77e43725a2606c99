// NOTICES.md of the tarball: the licences of what dist/ contains of other packages, taken from their own files.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
const INLINED = [
  '@tensorflow/tfjs-core',
  '@tensorflow/tfjs-backend-cpu',
  '@tensorflow/tfjs-backend-wasm',
  '@tensorflow/tfjs-backend-webgpu',
  '@noble/hashes',
  'long',
  'seedrandom',
];

/** The folder of an installed package, whatever its exports say. */
function folderOf(name) {
  const folder = require.resolve
    .paths(name)
    .map((path) => join(path, name))
    .find((path) => existsSync(join(path, 'package.json')));
  if (!folder) throw new Error(`notices: ${name} is not installed`);
  return folder;
}

function licenceOf(folder, licence) {
  if (licence.startsWith('Apache')) return 'Its licence is the text in LICENSE.';
  if (existsSync(join(folder, 'LICENSE'))) return readFileSync(join(folder, 'LICENSE'), 'utf8').trim();
  const section = /^LICENSE[^\n]*\n-+\n+([\s\S]+?)(?=\n[^\n]+\n[-=]+\n|$(?![\s\S]))/m.exec(readFileSync(join(folder, 'README.md'), 'utf8'));
  if (!section) throw new Error(`notices: ${dirname(folder)} has no licence text`);
  return section[1].trim();
}

const entries = INLINED.map((name) => {
  const folder = folderOf(name);
  const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return `## ${name} ${version} (${license})\n\n${licenceOf(folder, license)}\n`;
});
const intro = `# Notices

\`dist/browser\` contains these packages whole, so that a page needs nothing else; the other files of \`dist\` contain of them only
the WebAssembly of tfjs-backend-wasm (TensorFlow.js, Copyright Google LLC), in which is XNNPACK (BSD-3-Clause, Copyright (c) Facebook, Inc. and its
affiliates, Copyright 2019 Google LLC).
`;
writeFileSync('packages/vgg/NOTICES.md', [intro, ...entries].join('\n'));
