// What holds for every command: help, usage errors, one JSON document, nothing on standard output but results.
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../packages/vgg/src/cli/commands.js';
import { parse } from '../../packages/vgg/src/cli/parse.js';
import { reporter } from '../../packages/vgg/src/cli/progress.js';
import { VERSION } from '../../packages/vgg/src/version.js';
import { vgg } from '../../packages/vgg/test/command-line.js';

const names = COMMANDS.map(({ name }) => name);

test('the commands are those of the contract', () => {
  expect(names).toEqual([
    'info',
    'doctor',
    'convert',
    'verify',
    'extract',
    'classify',
    'train',
    'predict',
    'eval',
    'bench',
    'tfrecord',
    'weights',
  ]);
});

describe('help', () => {
  test.each([['--help'], ['-h'], ['help']])('vgg %s lists every command on standard output', async (flag) => {
    const { code, out, err } = await vgg([flag]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const { name, about } of COMMANDS) expect(out).toMatch(new RegExp(`^ {2}${name} +${about}`, 'm'));
  });

  test.each(names)('vgg %s --help has usage, options, examples and exit codes', async (name) => {
    const { code, out, err } = await vgg([name, '--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain(`Usage: vgg ${name}`);
    for (const part of ['Options of every command:', 'Examples:', 'Exit codes: 0 done']) expect(out).toContain(part);
    expect(out.split('\n').every((line) => line.length <= 140)).toBe(true);
    expect((await vgg(['help', name])).out).toBe(out);
  });

  test.each(names)('the examples of vgg %s parse', async (name) => {
    const command = await COMMANDS.find((entry) => entry.name === name)!.load();
    expect(command.name).toBe(name);
    expect(command.examples.length).toBeGreaterThanOrEqual(2);
    for (const [line] of command.examples) {
      const words = line.split('|').at(-1)!.trim().split(/\s+/);
      expect(words.slice(0, 2)).toEqual(['vgg', name]);
      parse(command, words.slice(2));
    }
  });

  test('help is bold on a terminal only, and not with NO_COLOR', async () => {
    expect((await vgg(['--help'], { terminal: true })).out).toContain('\x1b[1m');
    expect((await vgg(['--help'], { terminal: true, env: { NO_COLOR: '1' } })).out).not.toContain('\x1b');
    expect((await vgg(['--help'])).out).not.toContain('\x1b');
  });
});

test('--version is the version of the package', async () => {
  expect(await vgg(['--version'])).toMatchObject({ code: 0, out: `${VERSION}\n`, err: '' });
});

describe('usage errors end with 2, one sentence and a suggestion', () => {
  test.each([
    [[], 'expected a command'],
    [['exract', 'a.jpg'], 'did you mean "extract"?'],
    [['extract', 'a.jpg', '--layr', 'pool3'], 'unknown option --layr (did you mean "--layer"?)'],
    [['info', 'vgg16', '-json'], 'did you mean "--json"?'],
    [['extract', 'a.jpg', '--pool', 'avg'], 'expected average, max or none, received "avg"'],
    [['extract', 'a.jpg', '--size', '12.5'], 'expected an integer from 1 to 16384, received "12.5"'],
    [['extract', 'a.jpg', '--layer'], 'expected L[,L...], received nothing'],
    [['extract', 'a.jpg', '--layer', '--quiet'], 'received the option --quiet'],
    [['extract', 'a.jpg', '--layer', 'pool3,,pool4'], 'received "pool3,,pool4"'],
    [['extract', 'a.jpg', '--out', 'features.csv'], 'ending in .npy, .safetensors, .jsonl, received "features.csv"'],
    [['extract'], 'expected IMAGES..., received nothing'],
    [['info', 'vgg16', 'vgg19'], 'unexpected argument "vgg19"'],
    [['info', 'vgg61'], 'unknown architecture "vgg61"'],
    [['info', 'vgg16', '--input', '0x5'], 'expected pixels such as 224'],
    [['info', 'vgg16', '--json=yes'], 'expected no value, received "yes"'],
    [['doctor', '--backend', 'gpu'], 'expected auto, webgpu, wasm or cpu, received "gpu"'],
    [['convert', 'a.h5', 'b.pth'], 'expected an output that ends as one of these formats does: safetensors, h5, '],
    [['convert', 'a.h5', 'b.onnx', '--to', 'pth'], 'or caffemodel, received "pth"'],
    [['convert', 'a.h5', './a.h5'], 'expected an OUT that is not IN, received a.h5 itself'],
    [['convert', 'web/model.json', 'web/'], 'received the folder of its shards'],
    [['convert', 'a.h5', 'b.safetensors', '--fold', 'bn,relu'], 'expected bn or preprocessing, received "relu"'],
    [['convert', 'a.h5', 'b.safetensors', '--dtype', 'in8'], 'int4 or LAYER=DTYPE, received "in8" (did you mean "int8"?)'],
    [['convert', 'a.h5', 'b.safetensors', '--dtype', 'int8,fc6=int'], 'received "fc6=int"'],
    [['convert', 'a.h5', 'b.safetensors', '--dtype', 'int8,=int4'], 'received "=int4"'],
    [['convert', 'a.h5', 'b.safetensors', '--dtype', 'int8,,fc6=int4'], 'received ""'],
    [['convert', 'a.h5', 'b.safetensors', '--dtype', 'int8,float16'], 'expected one dtype for the other layers, received "int8,float16"'],
    [['convert', 'a.h5', 'b.safetensors', '--dtype', 'fc6=int8,fc6=int4'], 'expected one dtype for fc6'],
    [['predict', 'a.jpg'], 'expected --head HEAD'],
    [['weights', 'fetch'], 'expected list, get, remove'],
    [['weights', 'get'], 'expected the name of a set'],
    [['bench', '--part', 'all', '--size', '64'], 'use --part features'],
  ])('vgg %j', async (argv, sentence) => {
    const { code, out, err } = await vgg(argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(sentence);
    expect(err).toMatch(/^vgg: [^\n]+ \[VGG_[A-Z]+\]\n$/);
    // As JSON: the same sentence as a document.
    const again = await vgg([...argv, '--json']);
    expect(again.code).toBe(2);
    if (argv.at(-1) === '--layer') return; // --json is taken for its value
    expect(again.json.error).toEqual({ code: expect.stringMatching(/^VGG_/), message: expect.stringContaining(sentence) });
  });
});

test('errors never show a stack, unless VGG_DEBUG asks for it', async () => {
  expect((await vgg(['info', 'no.h5'])).err).not.toContain('    at ');
  expect((await vgg(['info', 'no.h5'], { env: { VGG_DEBUG: '1' } })).err).toContain('    at ');
});

test('a set whose name is mistyped is told from a file and from an architecture', async () => {
  const { code, err } = await vgg(['info', 'vgg16.torchvison']);
  expect(code).toBe(1);
  expect(err).toContain('no published set is called "vgg16.torchvison" (did you mean "vgg16.torchvision"?)');
});

test('options of every command may stand before it', async () => {
  expect((await vgg(['--json', '--seed', '3', 'info', 'A'])).json.architecture).toBe('vgg11');
});

describe('progress', () => {
  const lines = (terminal: boolean) => {
    const pieces: string[] = [];
    let time = 0;
    const report = reporter((piece) => void pieces.push(piece), { terminal, columns: 60, now: () => time });
    for (let loaded = 1; loaded <= 100; loaded++) {
      report.progress({ stage: 'extract', loaded, total: 100, item: 'a.jpg' });
      time += 200;
    }
    report.line('vgg: a warning');
    report.end();
    return pieces.join('');
  };

  test('is a few plain lines in a log', () => {
    expect(lines(false).split('\n')).toEqual([
      ...[6, 31, 56, 81].map((loaded) => `extracting ${loaded} of 100 (a.jpg)`),
      'vgg: a warning',
      '',
    ]);
  });

  test('names no stage in a log that is over at once, and nothing after the end', () => {
    for (const terminal of [false, true]) {
      const pieces: string[] = [];
      let time = 0;
      const report = reporter((piece) => void pieces.push(piece), { terminal, now: () => time });
      for (const stage of ['measure', 'train']) {
        report.progress({ stage, loaded: 1, total: 36 });
        time += 999;
        report.progress({ stage, loaded: 2, total: 36 });
      }
      report.end();
      const before = pieces.length;
      time += 9999;
      report.progress({ stage: 'train', loaded: 3, total: 36 });
      report.line('vgg: an error');
      expect(pieces.slice(before)).toEqual(['vgg: an error\n']);
      if (!terminal) expect(before).toBe(0);
      else expect(pieces[before - 1]).toBe('\r\x1b[K');
    }
  });

  test('is one line, drawn again, on a terminal, and leaves nothing of it', () => {
    const text = lines(true);
    expect(text).toContain('[############............] 50 % 10 s left, extracting 50');
    expect(text.endsWith('\r\x1b[Kvgg: a warning\n')).toBe(true);
    // A wider line would wrap, and \r would not come back to its start.
    expect(Math.max(...text.split('\r').map((each) => each.replace('\x1b[K', '').length))).toBeLessThan(60);
  });
});
