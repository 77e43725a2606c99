import { open as openFile } from 'node:fs/promises';
import { test } from 'vitest';
import { tfCheckpoint } from '../src/formats/tf-checkpoint/index.js';
import { matlab5 } from '../src/formats/matlab/index.js';
import type { Source } from '../src/source.js';
let bytesRead = 0;
async function file(path: string): Promise<Source | undefined> {
  const handle = await openFile(path).catch(() => undefined); if (!handle) return undefined;
  const { size } = await handle.stat();
  return { name: path.split('/').pop()!, size, async read(offset, length) { bytesRead += length; const out = Buffer.allocUnsafeSlow(length); let at = 0; while (at < length) at += (await handle.read(out, at, length - at, offset + at)).bytesRead; return new Uint8Array(out.buffer, 0, length); }, sibling: (n) => file(path.replace(/[^/]*$/, n)), close: () => handle.close() };
}
const ms = async (what: string, work: () => Promise<unknown>) => { const t = performance.now(); await work(); console.log(what, (performance.now() - t).toFixed(0), 'ms', 'read MB', (bytesRead / 1e6).toFixed(2), 'rss MB', (process.memoryUsage.rss() / 1e6).toFixed(0), 'peak', (process.resourceUsage().maxRSS / 1e3).toFixed(0)); bytesRead = 0; };
test('bench', { timeout: 300000 }, async () => {
  const path = process.env.BIG!;
  const format = path.endsWith('.mat') ? matlab5 : tfCheckpoint;
  console.log('rss', process.memoryUsage.rss() / 1e6);
  for (const check of [false, true]) {
    if (check && format === matlab5) break;
    let f: Awaited<ReturnType<typeof format.open>>;
    const options = check ? { sha256: () => ({ update() {}, digest: () => '' }) } : {};
    await ms(`open check=${check}`, async () => { f = await format.open((await file(path))!, options); });
    console.log(f!.tensors.size, [...f!.tensors.keys()].slice(0, 3));
    for (const round of [1, 2]) await ms(`stream all ${round}`, async () => { for (const n of f!.tensors.keys()) for await (const _ of f!.stream(n)); });
    const big = [...f!.tensors.keys()].find((n) => /fc6.*weight/.test(n))!;
    await ms(`read ${big}`, async () => { await f!.read(big); });
    await ms(`read ${big}`, async () => { await f!.read(big); });
    await ms(`read all`, async () => { for (const n of f!.tensors.keys()) await f!.read(n); });
    await f!.close();
  }
});
