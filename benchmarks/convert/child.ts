import { readFileSync } from 'node:fs';
import type { StoredType } from '@vgg/loaders';
import { convert } from '../../packages/vgg/src/convert/convert.js';

/** One conversion in a process of its own: `node child.mjs INPUT OUTPUT DTYPE`; prints JSON: seconds, and bytes above what the process held before. */

function resident(key: 'VmRSS' | 'VmHWM'): number {
  return 1024 * Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))![1]);
}

const [input, output, dtype] = process.argv.slice(2) as [string, string, StoredType];
const idle = resident('VmRSS');
const start = performance.now();
await convert(input, output, { dtype });
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000, peak: resident('VmHWM') - idle }));
