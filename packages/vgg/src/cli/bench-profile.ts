import { type Backend, listenServed, measurePeak } from '@vgg/core';
import { VggError } from '@vgg/errors';
import type { Summary } from '../network/summary.js';
import type { Step } from '../run/forward.js';
import { table } from './text.js';

/** One step of a forward pass: a layer, with the ReLU that is computed in it. */
interface ProfileRow {
  readonly layer: string;
  readonly kind: Step['layer']['kind'];
  /** Median over the runs. */
  readonly ms: number;
  /** Of the direct sums of a convolution, which Winograd's need not all be computed; absent where nothing is multiplied. */
  readonly gflops?: number;
  /** gflops as a part of the peak. */
  readonly share?: number;
  /** Ours, by the names of tfjs that they stand for, such as `vgg:FusedConv2D`; else `tfjs`. */
  readonly kernel: string;
}

export interface Profile {
  /** GFLOP/s of a product of small matrices in the same run. */
  readonly peakGflops: number;
  readonly layers: readonly ProfileRow[];
}

/** Gathers the times of steps; `watch` goes into the forward pass. */
export interface Profiler {
  watch(step: Step): () => void;
  /** What was gathered, for a summary of the same layers and so many pictures a pass. */
  result(summary: Summary, batch: number): Profile;
}

/** @throws VggError `VGG_BACKEND` on a backend whose kernels run later than they are called */
export function profiler(backend: Backend): Profiler {
  if (backend.name === 'webgpu') {
    throw new VggError(
      'VGG_BACKEND',
      'bench --profile: expected a backend that computes at once, received webgpu, whose layers run behind their calls; use --backend wasm',
    );
  }
  const steps = new Map<string, { step: Step; times: number[]; kernels: Set<string> }>();
  return {
    watch(step) {
      const { name } = step.layer;
      const entry = steps.get(name) ?? { step, times: [], kernels: new Set() };
      steps.set(name, entry);
      const stop = listenServed((kernel) => entry.kernels.add(kernel));
      const start = performance.now();
      return () => {
        entry.times.push(performance.now() - start);
        stop();
      };
    },
    result({ rows }, batch) {
      const peakGflops = measurePeak(backend);
      const layers = [...steps.values()].map(({ step, times, kernels }): ProfileRow => {
        const sorted = [...times].sort((a, b) => a - b);
        const ms = sorted[sorted.length >> 1];
        const macs = (rows.find(({ name }) => name === step.layer.name)?.macs ?? 0) * batch;
        const gflops = (2 * macs) / ms / 1e6;
        return {
          layer: [step.layer, step.relu, step.pool].flatMap((part) => part?.name ?? []).join('+'),
          kind: step.layer.kind,
          ms,
          ...(macs > 0 && { gflops, share: gflops / peakGflops }),
          kernel: [...kernels].map((kernel) => `vgg:${kernel}`).join(', ') || 'tfjs',
        };
      });
      return { peakGflops, layers };
    },
  };
}

export function profileTable({ peakGflops, layers }: Profile): string {
  const header = ['layer', 'ms', 'GFLOP/s', 'of the peak', 'kernel'];
  const rows = layers.map(({ layer, ms, gflops, share, kernel }) => [
    layer,
    ms.toFixed(3),
    gflops?.toFixed(1) ?? '',
    share === undefined ? '' : `${(100 * share).toFixed(0)} %`,
    kernel,
  ]);
  const total = layers.reduce((sum, { ms }) => sum + ms, 0);
  const lines = table(header, [...rows, ['all', total.toFixed(3), '', '', '']], header.slice(1, 4));
  return `${lines}\n\nThe peak is ${peakGflops.toFixed(1)} GFLOP/s, of small matrix products; convolutions count their direct sums, so Winograd's pass it.`;
}
