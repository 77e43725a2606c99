// The size budget: what a page downloads (gzip) from the ready-made bundle in dist/browser.
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const folder = fileURLToPath(new URL('../packages/vgg/dist/browser/', import.meta.url));
/** Kilobytes of gzip. */
const BUDGET = { 'vgg.js with its static imports': 175, 'everything, all backends and formats': 900, 'the weights inside': 5000 };

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
const everything = [...closure(entry, true)];
const isNet = (file) => relative(folder, file).startsWith('nets');
const parts = [closure(entry, false), everything.filter((file) => !isNet(file)), everything.filter(isNet)];
for (const [i, [name, budget]] of Object.entries(BUDGET).entries()) {
  const files = [...parts[i]];
  const size = kilobytes(files);
  if (size > budget || files.length === 0) over = true;
  console.log(`${name}: ${size.toFixed(1)} kB gzip of ${budget} (${files.length} files)`);
}
process.exitCode = over ? 1 : 0;
