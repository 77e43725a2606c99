import { engine, type NamedAttrMap, type NamedTensorMap } from '@tensorflow/tfjs-core';

/** Of all threads, in ms: a busy machine disturbs it less than the time on the wall. */
export function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Adds up the time of tfjs's calls of each kernel, by this clock, until it is called. */
export function recordKernels(now: () => number): () => Map<string, number> {
  const tfjs = engine();
  const { runKernel } = tfjs;
  const spent = new Map<string, number>();
  let depth = 0;
  tfjs.runKernel = ((name: string, inputs: NamedTensorMap, attributes?: NamedAttrMap) => {
    const start = now();
    depth++;
    try {
      return runKernel.call(tfjs, name, inputs, attributes);
    } finally {
      depth--;
      // A call within a call is a part of it.
      if (depth === 0) spent.set(name, (spent.get(name) ?? 0) + now() - start);
    }
  }) as typeof runKernel;
  return () => {
    tfjs.runKernel = runKernel;
    return spent;
  };
}
