import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { writeFile, writeFiles } from './write.js';

const BYTES = Uint8Array.from({ length: 100 }, (_, i) => i);
const FOLDER = 'vgg-write-test';

afterEach(() => void vi.restoreAllMocks());

describe('a file handle', () => {
  let folder: FileSystemDirectoryHandle;
  beforeEach(async () => {
    folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });
  });
  afterEach(async () => (await navigator.storage.getDirectory()).removeEntry(FOLDER, { recursive: true }));

  /** A handle of the browser's own file system, and what is done to its stream. */
  async function observed() {
    const handle = await folder.getFileHandle('head.vgg', { create: true });
    const calls: string[] = [];
    const open = handle.createWritable.bind(handle);
    vi.spyOn(handle, 'createWritable').mockImplementation(async () => {
      const stream = await open();
      const [write, close, abort] = [stream.write.bind(stream), stream.close.bind(stream), stream.abort.bind(stream)];
      stream.write = (chunk) => {
        calls.push(`write ${(chunk as Uint8Array).length}`);
        return write(chunk);
      };
      stream.close = () => {
        calls.push('close');
        return close();
      };
      stream.abort = () => {
        calls.push('abort');
        return abort();
      };
      return stream;
    });
    const content = async () => new Uint8Array(await (await handle.getFile()).arrayBuffer());
    return { handle, calls, content };
  }

  test('is closed when all is written, and aborted when it is not', async () => {
    const { handle, calls, content } = await observed();
    await writeFile(handle, [BYTES, BYTES.subarray(0, 3)]);
    expect(calls.splice(0)).toEqual(['write 100', 'write 3', 'close']);
    expect(await content()).toEqual(Uint8Array.from([...BYTES, 0, 1, 2]));
    const failing = (function* () {
      yield BYTES;
      throw new Error('no more');
    })();
    await expect(writeFile(handle, failing)).rejects.toThrow('no more');
    expect(calls).toEqual(['write 100', 'abort']);
    expect((await content()).length).toBe(103);
  });

  test('keeps its earlier content when the writing is stopped', async () => {
    const { handle, calls, content } = await observed();
    await writeFile(handle, [BYTES]);
    calls.splice(0);
    const abort = new AbortController();
    const chunks = (async function* () {
      yield BYTES;
      abort.abort();
      yield BYTES;
    })();
    await expect(writeFile(handle, chunks, { signal: abort.signal })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect(calls).toEqual(['write 100', 'abort']);
    expect(await content()).toEqual(BYTES);
  });

  test('of a file that is gone with its folder is refused by name', async () => {
    const inner = await folder.getDirectoryHandle('inner', { create: true });
    const handle = await inner.getFileHandle('lost.vgg', { create: true });
    await folder.removeEntry('inner', { recursive: true });
    await expect(writeFile(handle, [BYTES])).rejects.toMatchObject({ code: 'VGG_OUTPUT', message: expect.stringMatching(/^lost\.vgg: /) });
  });
});

describe('several files', () => {
  let folder: FileSystemDirectoryHandle;
  beforeEach(async () => {
    folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });
  });
  afterEach(async () => (await navigator.storage.getDirectory()).removeEntry(FOLDER, { recursive: true }));

  const file = (name: string, ...chunks: (Uint8Array | { at: number; bytes: Uint8Array } | Error)[]) => ({
    name,
    async *chunks() {
      for (const chunk of chunks) {
        if (chunk instanceof Error) throw chunk;
        yield chunk;
      }
    },
  });
  const patch = { at: 1, bytes: Uint8Array.of(77, 78) };
  const patched = Uint8Array.from([0, 77, 78, ...BYTES.subarray(3)]);
  const names = async () => {
    const found: string[] = [];
    for await (const name of (folder as unknown as { keys(): AsyncIterable<string> }).keys()) found.push(name);
    return found.sort();
  };
  const content = async (name: string) => new Uint8Array(await (await (await folder.getFileHandle(name)).getFile()).arrayBuffer());

  test('go into a folder, with their patches', async () => {
    await writeFiles(folder, [file('a.bin', BYTES, patch), file('model.json', Uint8Array.of(1))]);
    expect(await names()).toEqual(['a.bin', 'model.json']);
    expect(await content('a.bin')).toEqual(patched);
  });

  test('that fail leave no main file, nor what was made', async () => {
    await writeFiles(folder, [file('model.json', Uint8Array.of(1))]);
    await expect(writeFiles(folder, [file('a.bin', BYTES), file('model.json', BYTES, new Error('no more'))])).rejects.toThrow('no more');
    expect(await names()).toEqual([]);
  });

  test('do not go into one file', async () => {
    const handle = await folder.getFileHandle('model.json', { create: true });
    await expect(writeFiles(handle, [file('a.bin', BYTES), file('model.json', BYTES)])).rejects.toMatchObject({
      code: 'VGG_OUTPUT',
      message: expect.stringMatching(/expected a folder's handle for 2 files \(a\.bin, model\.json\)/),
    });
    await expect(writeFile(folder, [BYTES])).rejects.toMatchObject({ code: 'VGG_OUTPUT' });
  });

  test('are downloads one after another, with their patches', async () => {
    const click = vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(() => {});
    await writeFiles('mine.json', [
      file('a.bin', BYTES.subarray(0, 2), BYTES.subarray(2), patch, { at: 0, bytes: Uint8Array.of(0) }),
      file('model.json', BYTES),
    ]);
    const anchors = click.mock.contexts as HTMLAnchorElement[];
    expect(anchors.map(({ download }) => download)).toEqual(['a.bin', 'mine.json']);
    expect(new Uint8Array(await (await fetch(anchors[0]!.href)).arrayBuffer())).toEqual(patched);
    for (const { href } of anchors) URL.revokeObjectURL(href);
  });
});

describe('a name', () => {
  test('is offered as a download', async () => {
    const click = vi.spyOn(HTMLAnchorElement.prototype, 'click');
    const chunk = BYTES.slice();
    const chunks = (function* () {
      yield chunk;
      chunk.fill(0); // its maker uses the memory again
    })();
    await writeFile('out/features.npy', chunks);
    expect(click).toHaveBeenCalledOnce();
    const anchor = click.mock.contexts[0] as HTMLAnchorElement;
    expect(anchor.download).toBe('features.npy');
    expect(new Uint8Array(await (await fetch(anchor.href)).arrayBuffer())).toEqual(BYTES);
    URL.revokeObjectURL(anchor.href);
  });

  test('is not offered when the chunks fail or the writing is stopped', async () => {
    const click = vi.spyOn(HTMLAnchorElement.prototype, 'click');
    const failing = (function* () {
      yield BYTES;
      throw new Error('no more');
    })();
    await expect(writeFile('features.npy', failing)).rejects.toThrow('no more');
    await expect(writeFile('features.npy', [BYTES], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect(click).not.toHaveBeenCalled();
  });

  test('is refused in a worker, which has no page to download in', async () => {
    const module = new URL(/* @vite-ignore */ './write.ts', import.meta.url);
    const code = `import { writeFile } from '${module.href}';
      await writeFile('features.npy', [new Uint8Array(1)]).then(() => postMessage('written'), ({ code, message }) => postMessage({ code, message }));`;
    const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
    const worker = new Worker(url, { type: 'module' });
    try {
      const answer = await new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(`the worker failed: ${message}`));
      });
      expect(answer).toMatchObject({ code: 'VGG_OUTPUT', message: expect.stringContaining('received a worker') });
    } finally {
      worker.terminate();
      URL.revokeObjectURL(url);
    }
  });
});
