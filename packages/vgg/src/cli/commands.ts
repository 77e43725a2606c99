import type { Command } from './command.js';

/** A command by name; its code is loaded when it is run or asked for help, so that `vgg --help` answers at once. */
export interface CommandEntry {
  readonly name: string;
  readonly about: string;
  load(): Promise<Command>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'info',
    about: 'show a network layer by layer, or what a weight file holds',
    load: async () => (await import('./commands/info.js')).info,
  },
  {
    name: 'doctor',
    about: 'show what this machine offers, and which backend would be chosen',
    load: async () => (await import('./commands/doctor.js')).doctor,
  },
  {
    name: 'convert',
    about: 'convert a weight file to another format',
    load: async () => (await import('./commands/convert.js')).convertCommand,
  },
  { name: 'verify', about: 'check a weight file, or compare two', load: async () => (await import('./commands/verify.js')).verify },
  { name: 'extract', about: 'compute the features of pictures', load: async () => (await import('./commands/extract.js')).extract },
  { name: 'classify', about: 'name what pictures show', load: async () => (await import('./commands/classify.js')).classify },
  { name: 'train', about: 'learn to tell folders of pictures apart', load: async () => (await import('./commands/train.js')).train },
  { name: 'predict', about: 'use a trained head on pictures', load: async () => (await import('./commands/predict.js')).predict },
  {
    name: 'eval',
    about: 'measure a head, or weights, on labelled pictures',
    load: async () => (await import('./commands/eval.js')).evaluate,
  },
  { name: 'bench', about: 'measure how fast a network runs here', load: async () => (await import('./commands/bench.js')).bench },
  {
    name: 'tfrecord',
    about: "write, show and unpack TensorFlow's record files",
    load: async () => (await import('./commands/tfrecord.js')).tfrecord,
  },
  {
    name: 'weights',
    about: 'list, fetch and remove the published weights',
    load: async () => (await import('./commands/weights.js')).weights,
  },
];
