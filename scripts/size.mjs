// The size budget: what a page downloads (gzip) for each backend, from the ready-made bundle in dist/browser.
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const folder = fileURLToPath(new URL('../packages/vgg/dist/browser/', import.meta.url));
/** Kilobytes of gzip. */
const BUDGET = { 'vgg.js with its static imports': 175, 'everything, all backends and formats': 900 };

/** A file and all that it imports; dynamic imports only where asked. */
function closure(file, dynamic, seen = new Set()) {
  if (seen.has(file)) return seen;
  seen.add(file);
  const code = readFileSync(file, 'utf8');
  const imports = [...code.matchAll(/(?:from|import)\s*["'](\.[^"']+\.js)["']/g)];
  if (dynamic) imports.push(...code.matchAll(/import\(\s*["'`](\.[^"'`]+\.js)["'`]\s*\)/g));
  for (const [, path] of imports) closure(join(dirname(file), path), dynamic, seen);
  return seen;
}

const kilobytes = (files) => [...files].reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0) / 1000;
const entry = join(folder, 'vgg.js');
let over = false;
for (const [name, budget] of Object.entries(BUDGET)) {
  const files = closure(entry, name.startsWith('everything'));
  const size = kilobytes(files);
  if (size > budget) over = true;
  console.log(`${name}: ${size.toFixed(1)} kB gzip of ${budget} (${[...files].map((file) => relative(folder, file)).length} files)`);
}
process.exitCode = over ? 1 : 0;
