import { availableParallelism, totalmem } from 'node:os';
import { openBackend, probeBackends } from '@vgg/core';
import { io } from '#io';
import { command } from '../command.js';
import { bytes, facts, table } from '../text.js';

export const doctor = command({
  name: 'doctor',
  about: 'shows what this machine offers, which backend would be chosen and why, and why not the others',
  args: '',
  least: 0,
  most: 0,
  flags: {},
  examples: [
    ['vgg doctor', 'the backends of this machine'],
    ['vgg doctor --backend webgpu', 'is WebGPU there? (exit code 5 if not)'],
  ],
  async run(_args, _values, { options, signal }) {
    const backends = await probeBackends();
    const { info } = await openBackend(options.backend ?? 'auto', { signal, threads: options.threads, memory: options.memory }).catch(
      (error: unknown) => {
        throw Object.assign(error as Error, { details: { backends } });
      },
    );
    const wasm = backends.find(({ name }) => name === 'wasm');
    const machine = {
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
      cores: availableParallelism(),
      memoryBytes: totalmem(),
      cache: io.cache.where,
    };
    return {
      json: {
        chosen: info.name,
        reason: info.reason,
        simd: wasm?.simd ?? 'none',
        threads: info.threads,
        threadsReason: info.threadsReason,
        memory: info.memory,
        memoryReason: info.memoryReason,
        turbo: info.turbo,
        build: info.build,
        kernels: info.kernels,
        steps: info.steps,
        backends,
        ...machine,
      },
      text: () =>
        [
          facts([
            ['chosen', info.name],
            ['because', info.reason],
            ['threads', info.threadsReason === undefined ? String(info.threads) : `${info.threads} (${info.threadsReason})`],
            ['memory', info.memory && `${info.memory} (${info.memoryReason})`],
            ['turbo', info.turbo && `${info.turbo.on ? 'on' : 'off'} (${info.turbo.why})`],
            ['kernels', info.build && `our own, the build ${info.build === 'relaxed' ? 'with' : 'without'} fused multiply-add`],
            ['node', `${machine.node} on ${machine.platform}, ${machine.cores} cores, ${bytes(machine.memoryBytes)}`],
            ['weights cache', machine.cache],
          ]),
          '',
          table(
            ['backend', 'available', 'what was found'],
            backends.map(({ name, available, reason }) => [name, available ? 'yes' : 'no', reason]),
          ),
        ].join('\n'),
    };
  },
});
