import { type Command, type Flag, type Flags, GLOBAL_FLAGS } from './command.js';
import type { CommandEntry } from './commands.js';
import { EXIT_MEANING } from './exit.js';

type Bold = (text: string) => string;
/** Help is read in 80 columns more often than not; longer lines are wrapped by us, under their own column. */
const WIDTH = 96;

/** Variables that every command heeds. */
const ENVIRONMENT: readonly (readonly [name: string, about: string])[] = [
  ['VGG_CACHE', 'folder of the fetched weights; vgg weights says which it is'],
  [
    'VGG_MIRROR',
    'addresses that are asked before the published ones, with spaces or commas between; each has the files by their names in the cache, such as vgg16.keras_in1k.h5',
  ],
  ['VGG_OFFLINE', '1 to fetch nothing, as --offline'],
  ['VGG_BACKEND', 'the backend where --backend names none'],
  ['VGG_DEBUG', '1 to see where an error came from'],
];

/** `vgg --help`. */
export function mainHelp(entries: readonly CommandEntry[], bold: Bold): string {
  return [
    'VGG networks from the command line: published weights in, features and trained heads out.',
    '',
    `${bold('Usage:')} vgg COMMAND ... [options]`,
    '',
    bold('Commands:'),
    columns(entries.map(({ name, about }) => [name, about])),
    '',
    bold('Options of every command:'),
    options({ ...GLOBAL_FLAGS, version: { type: 'boolean', about: "show this package's version" } }),
    '',
    bold('Examples:'),
    ...examples([
      ['vgg extract photo.jpg --layer pool5 --json', 'the features of a photograph'],
      ['vgg convert VGG_ILSVRC_16_layers.caffemodel vgg16.safetensors', 'a weight file in another format'],
      ['vgg train photos/ --val 0.2 --out insects.head', 'learn to tell the folders of photos/ apart'],
    ]),
    '',
    bold('Environment:'),
    columns(ENVIRONMENT),
    '',
    `${bold('Exit codes:')} ${exitCodes()}`,
    '',
    'vgg COMMAND --help says more about each. Results go to standard output, everything else to standard error.',
  ].join('\n');
}

/** `vgg COMMAND --help`. */
export function commandHelp(command: Command, bold: Bold): string {
  const own = Object.keys(command.flags).length > 0;
  return [
    wrap(sentence(command.about), 0),
    '',
    `${bold('Usage:')} vgg ${[command.name, command.args].filter(Boolean).join(' ')} [options]`,
    ...(command.details ? ['', wrap(command.details, 0)] : []),
    ...(own ? ['', bold('Options:'), options(command.flags)] : []),
    '',
    bold('Options of every command:'),
    options(GLOBAL_FLAGS),
    '',
    bold('Examples:'),
    ...examples(command.examples),
    '',
    `${bold('Exit codes:')} ${exitCodes()}`,
  ].join('\n');
}

const sentence = (about: string) => `${about[0].toUpperCase()}${about.slice(1)}.`;
const exitCodes = () => wrap(EXIT_MEANING.map(([code, meaning]) => `${code} ${meaning}`).join('; '), 12).trimStart();

function examples(list: readonly (readonly [string, string])[]): string[] {
  return list.flatMap(([line, about]) => [`  $ ${line}`, `      ${about}`]);
}

function options(flags: Flags): string {
  return columns(Object.entries(flags).map(([name, flag]) => [signature(name, flag), about(flag)]));
}

function signature(name: string, { type, value, choices, short }: Flag): string {
  const placeholder = choices ? choices.join('|') : type === 'list' ? `${value ?? 'NAME'}[,${value ?? 'NAME'}...]` : (value ?? 'VALUE');
  return `${short ? `-${short}, ` : '    '}--${name}${type === 'boolean' ? '' : ` ${placeholder}`}`;
}

function about({ about, default: preset, defaultText }: Flag): string {
  const shown = defaultText ?? (preset === undefined ? undefined : String(preset));
  return shown === undefined ? about : `${about} (default: ${shown})`;
}

/** Two columns; a left side too wide for its column stands on a line of its own. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const widest = Math.min(30, Math.max(...rows.map(([left]) => left.length)));
  const indent = widest + 4;
  return rows
    .map(([left, right]) => {
      const text = wrap(right, indent);
      return left.length > widest ? `  ${left}\n${text}` : `  ${left.padEnd(widest)}  ${text.trimStart()}`;
    })
    .join('\n');
}

function wrap(text: string, indent: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = '';
    }
    line = line ? `${line} ${word}` : word;
  }
  return [...lines, line].map((each) => `${' '.repeat(indent)}${each}`).join('\n');
}
