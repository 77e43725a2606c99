import { isVggError } from '@vgg/errors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WriteTarget } from '../../src/io/io.js';
import { CheckpointFolder } from '../../src/train/checkpoint-folder.js';
import { type TrainNetworkOptions, trainNetwork } from '../../src/train/train-network.js';
import type { TrainedNetwork } from '../../src/train/trained.js';
import { STRIPES_PLAN, stripes } from './stripes.js';

const DATA = stripes(40, 1);
/** All that a run carries from step to step: two moments, a dropping rate, augmentation, dropout, and a waiting best epoch. */
const OPTIONS: TrainNetworkOptions = {
  epochs: 3,
  batch: 16,
  rate: 0.01,
  optimizer: { algorithm: 'adam' },
  schedule: { kind: 'cosine', length: 3 },
  augment: 'cifar',
  network: { dense: [6], dropout: 0.5 },
  validation: stripes(20, 2),
  patience: 3,
  backend: 'wasm',
  threads: 1,
  seed: 4,
};

/** How a run ended, but for the time it took. */
async function ending(net: TrainedNetwork) {
  const withoutTime = ({ seconds: _, ...entry }: (typeof net.history)[number]) => entry;
  const end = { weights: await net.toBytes(), history: net.history.map(withoutTime), best: withoutTime(net.best) };
  net.dispose();
  return end;
}

/** What holds of a run that is stopped and goes on, wherever its checkpoints are. @param make a folder for one test, and what removes it */
export function describeResume(make: () => Promise<{ target: WriteTarget; remove(): Promise<void> }>): void {
  describe('a run that is stopped', () => {
    let folder: CheckpointFolder;
    let remove: () => Promise<void>;
    beforeEach(async () => {
      const made = await make();
      remove = made.remove;
      folder = await CheckpointFolder.open(made.target);
    });
    afterEach(() => remove());

    const train = (more: TrainNetworkOptions) => trainNetwork({ arch: STRIPES_PLAN }, DATA, { ...OPTIONS, ...more });

    /** Aborts at the given word of progress, which is counted over the whole run. */
    async function stopAt(stage: string, count: number, more: TrainNetworkOptions = {}): Promise<unknown> {
      const controller = new AbortController();
      let seen = 0;
      const onProgress: TrainNetworkOptions['onProgress'] = (progress) => {
        if (progress.stage === stage && ++seen === count) controller.abort();
      };
      return train({ ...more, checkpoints: folder, signal: controller.signal, onProgress }).then(
        (net) => {
          net.dispose();
          throw new Error('it was not stopped');
        },
        (error) => error,
      );
    }

    it('goes on to the same end, to the bit, wherever it was stopped', async () => {
      const whole = await ending(await train({}));
      // In the first epoch, after its last step, in its validation, within the second epoch, and in the validation of the last.
      const stops = [
        ['train', 1, 'epoch-0000-step-000001'],
        ['validate', 1, 'epoch-0000-step-000003'],
        ['train', 2, 'epoch-0001-step-000002'],
        ['validate', 3, 'epoch-0002-step-000003'],
      ] as const;
      for (const [i, [stage, count, name]] of stops.entries()) {
        const error = await stopAt(stage, count, { resume: i > 0 });
        expect(isVggError(error, 'VGG_ABORTED'), String(error)).toBe(true);
        expect((await folder.list()).at(-1)).toBe(`${name}.safetensors`);
      }
      expect(await ending(await train({ checkpoints: folder, resume: true }))).toEqual(whole);
      // Once more, of a run that is over: nothing is left to do.
      expect(await ending(await train({ checkpoints: folder, resume: true }))).toEqual(whole);
    });

    it('goes on from a checkpoint within an epoch', async () => {
      const whole = await ending(await train({}));
      const error = await stopAt('train', 5, { checkpointEvery: 1 });
      expect(isVggError(error, 'VGG_ABORTED'), String(error)).toBe(true);
      expect(await folder.list()).toEqual(['epoch-0001-step-000001.safetensors', 'epoch-0001-step-000002.safetensors']);
      expect(await ending(await train({ checkpoints: folder, resume: true }))).toEqual(whole);
    });

    it('of a network that knew something goes on without fitting its classifier again', async () => {
      using known = await trainNetwork({ arch: STRIPES_PLAN }, DATA, { ...OPTIONS, network: {}, epochs: 1 });
      const weights = await known.toBytes();
      const { network: _, ...options } = OPTIONS;
      const tune = (more: TrainNetworkOptions) => trainNetwork({ weights }, DATA, { ...options, unfreeze: 'conv2', ...more });
      const whole = await ending(await tune({}));
      const controller = new AbortController();
      const stages = new Set<string>();
      const onProgress: TrainNetworkOptions['onProgress'] = ({ stage }) => {
        stages.add(stage);
        if (stage === 'validate') controller.abort();
      };
      const stopped = tune({ checkpoints: folder, signal: controller.signal, onProgress });
      await expect(stopped).rejects.toMatchObject({ code: 'VGG_ABORTED' });
      expect([...stages]).toContain('extract');
      stages.clear();
      const net = await tune({ checkpoints: folder, resume: true, onProgress: ({ stage }) => stages.add(stage) });
      expect([...stages].sort()).toEqual(['train', 'validate']);
      expect(await ending(net)).toEqual(whole);
    });

    it('still tells of the pictures that could not be read', async () => {
      const broken = { image: new Uint8Array(9), label: 1, name: 'broken.png' };
      const data = { ...DATA, examples: [...DATA.examples, broken] };
      const options = { ...OPTIONS, epochs: 1, checkpoints: folder, onWarning: () => {} };
      const run = (more: TrainNetworkOptions) => trainNetwork({ arch: STRIPES_PLAN }, data, { ...options, ...more });
      using first = await run({});
      using again = await run({ resume: true });
      expect(again.failed).toHaveLength(1);
      expect(again.failed[0]).toMatchObject({ name: 'broken.png', error: { code: 'VGG_INPUT', message: first.failed[0]!.error.message } });
    });

    it('that ended early has nothing left to do', async () => {
      const stop: TrainNetworkOptions = { epochs: 9, patience: 1, rate: 1e-12, checkpoints: folder };
      const first = await train(stop);
      expect(first.stopped).toBe('no better accuracy in 1 epochs');
      expect(first.history.length).toBeLessThan(9);
      const again = await train({ ...stop, resume: true });
      expect(again.stopped).toBe(first.stopped);
      expect(await ending(again)).toEqual(await ending(first));
    });

    it('refuses to go on as another run', async () => {
      await stopAt('train', 2);
      await expect(train({ checkpoints: folder, resume: true, rate: 0.02 })).rejects.toMatchObject({
        code: 'VGG_OPTION',
        message: expect.stringContaining('received rate 0.02 instead of 0.01'),
      });
      for (const [more, message] of [
        [{ network: { dense: [7], dropout: 0.5 } }, 'received another plan; leave resume out'],
        [{ network: { name: 'other' } }, 'received other instead of small'],
      ] as const)
        await expect(train({ checkpoints: folder, resume: true, ...more })).rejects.toMatchObject({
          code: 'VGG_OPTION',
          message: expect.stringContaining(message),
        });
      const renamed = { ...DATA, classes: ['one', 'two'] };
      const options = { ...OPTIONS, validation: 0.2, checkpoints: folder, resume: true };
      await expect(trainNetwork({ arch: STRIPES_PLAN }, renamed, options)).rejects.toMatchObject({
        code: 'VGG_OPTION',
        message: expect.stringContaining('received ["one","two"] instead of ["across","down"]'),
      });
    });

    it('begins anew where it is not told to go on, or where the folder was cleared', async () => {
      const whole = await ending(await train({}));
      await stopAt('train', 2);
      await folder.clear();
      expect(await folder.list()).toEqual([]);
      expect(await folder.best()).toBeUndefined();
      expect(await ending(await train({ checkpoints: folder, resume: true }))).toEqual(whole);
      expect((await folder.list()).at(-1)).toBe('epoch-0003.safetensors');
    });
  });
}
