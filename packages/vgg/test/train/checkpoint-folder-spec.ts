import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { io } from '#io';
import type { FileFolder, WriteTarget } from '../../src/io/io.js';
import { CheckpointFolder } from '../../src/train/checkpoint-folder.js';
import { bytesOfCheckpoint, stateAfter } from './checkpoints.js';

/** What holds of a folder of checkpoints wherever it is. @param make a folder for one test, which need not be there, and what removes it */
export function describeCheckpointFolder(make: () => Promise<{ target: WriteTarget; remove(): Promise<void> }>): void {
  describe('a folder of checkpoints', () => {
    let target: WriteTarget;
    let remove: () => Promise<void>;
    let files: FileFolder;
    let warnings: string[];
    const open = (keep?: number) =>
      CheckpointFolder.open(target, { ...(keep && { keep }), onWarning: (message) => warnings.push(message) });
    beforeEach(async () => {
      ({ target, remove } = await make());
      files = await io.openFolder(target);
      warnings = [];
    });
    afterEach(() => remove());

    /** The place of the newest, read whole. */
    async function newest(folder: CheckpointFolder): Promise<[epoch: number, step: number] | undefined> {
      const found = await folder.newest();
      await found?.close();
      return found && [found.run.epoch, found.run.step];
    }
    const write = (name: string, bytes: Uint8Array) => files.write(name, [bytes]);

    it('has none at first', async () => {
      const folder = await open();
      expect(await folder.newest()).toBeUndefined();
      expect(await folder.best()).toBeUndefined();
      expect(await folder.list()).toEqual([]);
    });

    it('keeps the last ones and the best', async () => {
      const folder = await open(2);
      for (const [epoch, isBest] of [
        [1, true],
        [2, true],
        [3, false],
        [4, false],
      ] as const) {
        await folder.save(stateAfter(epoch), { isBest });
      }
      expect(await files.list()).toEqual(['best.safetensors', 'epoch-0003.safetensors', 'epoch-0004.safetensors']);
      expect(await newest(folder)).toEqual([4, 0]);
      const best = await folder.best();
      expect(best?.run.epoch).toBe(2);
      expect(best?.optimizer.size).toBe(0);
      const expected = await stateAfter(2).weights[0]!.values();
      expect(await best?.readWeight(stateAfter(2).weights[0]!.name)).toEqual(expected);
      await best?.close();
      expect(warnings).toEqual([]);
    });

    it('within an epoch, and past 9999, the newest is the one that is furthest', async () => {
      const folder = await open(9);
      for (const [epoch, step] of [
        [9999, 0],
        [9999, 7],
        [9999, 30],
        [10_000, 0],
      ] as const) {
        await folder.save({ ...stateAfter(1), run: { ...stateAfter(1).run, epoch, step } });
        expect(await newest(folder)).toEqual([epoch, step]);
      }
      expect(await folder.list()).toEqual([
        'epoch-9999.safetensors',
        'epoch-9999-step-000007.safetensors',
        'epoch-9999-step-000030.safetensors',
        'epoch-10000.safetensors',
      ]);
    });

    it('passes over damaged checkpoints, and says so', async () => {
      const folder = await open(5);
      for (const epoch of [1, 2]) await folder.save(stateAfter(epoch), { isBest: true });
      const flipped = await bytesOfCheckpoint(stateAfter(4));
      flipped[flipped.length - 100]! ^= 4;
      await write('epoch-0003.safetensors', (await bytesOfCheckpoint(stateAfter(3))).subarray(0, 5000));
      await write('epoch-0004.safetensors', flipped);
      await write('epoch-0005.safetensors', new Uint8Array(0));
      await write('epoch-0006.safetensors', new TextEncoder().encode('<html>'));
      await write('best.safetensors', flipped);
      await write('notes.txt', new Uint8Array(3));
      expect(await newest(folder)).toEqual([2, 0]);
      expect(await folder.best()).toBeUndefined();
      const passed = ['0006', '0005', '0004', '0003'].map((epoch) => `epoch-${epoch}.safetensors is passed over (`);
      expect(warnings.length).toBe(5);
      for (const [i, words] of [...passed, 'best.safetensors is passed over ('].entries()) expect(warnings[i]).toContain(words);
      // They are replaced when the run gets there again.
      warnings = [];
      for (const epoch of [3, 4, 5, 6]) await folder.save(stateAfter(epoch));
      expect(await newest(folder)).toEqual([6, 0]);
      expect(warnings).toEqual([]);
      expect(await files.list()).toContain('notes.txt');
    });

    it('what fails or is stopped while it is written leaves the earlier ones', async () => {
      const folder = await open();
      await folder.save(stateAfter(1), { isBest: true });
      const before = await files.list();
      const failing = [{ name: 'conv1_1.bias', shape: [8], values: () => Promise.reject(new Error('the device is lost')) }];
      await expect(folder.save({ ...stateAfter(2), optimizer: failing })).rejects.toThrow('the device is lost');
      await expect(folder.save({ ...stateAfter(1), optimizer: failing })).rejects.toThrow('the device is lost');
      await expect(folder.save(stateAfter(2), { isBest: true, signal: AbortSignal.abort() })).rejects.toMatchObject({
        code: 'VGG_ABORTED',
      });
      expect(await files.list()).toEqual(before);
      expect(await newest(folder)).toEqual([1, 0]);
      expect((await folder.best())?.run.epoch).toBe(1);
      expect(warnings).toEqual([]);
    });

    it('files are plain names in it', async () => {
      await expect(files.write('../x', [new Uint8Array(1)])).rejects.toMatchObject({
        code: expect.stringMatching(/^VGG_(OPTION|OUTPUT)$/),
      });
      await expect(files.open('nothing.bin')).rejects.toMatchObject({ code: 'VGG_NOT_FOUND' });
      await files.remove('nothing.bin');
      await expect(CheckpointFolder.open(target, { keep: 0 })).rejects.toMatchObject({ code: 'VGG_OPTION' });
    });
  });
}
