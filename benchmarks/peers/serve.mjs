import { readFileSync, writeFileSync } from 'node:fs';

/** The pictures that all engines get: [batch, size, size, 3], RGB. */
export function readPixels({ pixelsPath }) {
  return new Uint8Array(readFileSync(pixelsPath));
}

/**
 * Answers benchmarks/peers.ts over the channel of a forked process, one request at a time: `open` sets the engine up and runs it once, `run`
 * is a turn, `output` writes a result to a file. A turn is a forward that is not counted, since the engine before has the caches full of
 * its own filters, and two that are, each with its result read.
 *
 * @param open receives what the parent sent and gives `{ setUp, run }`: milliseconds of the set-up, and a forward that resolves with its
 *   values as the engine orders them
 */
export function serve(open) {
  let engine;
  const answers = {
    async open(options) {
      engine = await open(options);
      const first = await timed(engine.run);
      return { setUp: engine.setUp, first, heap: await engine.heapBytes?.(), details: engine.details };
    },
    async run() {
      await engine.run();
      return { times: [await timed(engine.run), await timed(engine.run)] };
    },
    async output({ path }) {
      const values = await engine.run();
      writeFileSync(path, Buffer.from(values.buffer, values.byteOffset, values.byteLength));
      return {};
    },
    end: async () => ({ peak: process.resourceUsage().maxRSS * 1024 }),
  };
  process.on('message', async ({ what, ...options }) => {
    try {
      process.send(await answers[what](options));
    } catch (error) {
      process.send({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
    if (what === 'end') process.disconnect();
  });
}

export async function timed(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
