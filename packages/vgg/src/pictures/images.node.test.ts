import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { toPictures } from './images.js';

it('toPictures lets go of the pictures that were taken', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  function* many() {
    for (let i = 0; i < 50; i++) yield String(i);
  }
  const taken: WeakRef<object>[] = [];
  let kept = 0;
  const decode = async () => ({ width: 100, height: 100, data: new Uint8Array(30_000) });
  for await (const { index, picture } of toPictures(many(), decode, { signal: new AbortController().signal })) {
    taken.push(new WeakRef(picture!));
    if (index !== 49) continue;
    // References that were read stay alive to the end of their task.
    await new Promise((resolve) => setTimeout(resolve, 5));
    collect();
    kept = taken.filter((reference) => reference.deref() !== undefined).length;
  }
  expect(kept).toBeLessThan(10);
});
