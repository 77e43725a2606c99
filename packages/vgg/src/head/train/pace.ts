import { throwIfAborted, turn } from '@vgg/errors';

/** Longest stretch of work between two turns of the event loop, in ms: an abort is seen well within 200 ms, a page stays alive. */
const STRETCH = 20;
/** Multiply-adds that take a few ms anywhere: how much work to do between two calls of a pace. */
export const CHUNK = 2 ** 22;

/** Called between chunks of work: lets the event loop turn when it is time, and throws `VGG_ABORTED` once the signal is aborted. */
export type Pace = () => Promise<void> | undefined;

/** @param who the name that the error's sentence begins with */
export function pace(signal: AbortSignal | undefined, who: string): Pace {
  let last = performance.now();
  return () => {
    throwIfAborted(signal, who);
    if (performance.now() - last < STRETCH) return undefined;
    return turn().then(() => {
      last = performance.now();
      throwIfAborted(signal, who);
    });
  };
}
