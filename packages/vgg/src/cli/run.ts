import { isVggError, messageOf } from '@vgg/errors';
import { didYouMean } from '../text/suggest.js';
import { VERSION } from '../version.js';
import type { Command, Context } from './command.js';
import { COMMANDS, type CommandEntry } from './commands.js';
import { EXIT, exitCodeOf, UsageError } from './exit.js';
import { commandHelp, mainHelp } from './help.js';
import { jsonText } from './json.js';
import { asks, findCommand, parse } from './parse.js';
import { reporter } from './progress.js';
import { printable } from './text.js';

/** Somewhere to write text; a promise holds the writer back until the reader keeps up. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** What a run may use of the process. */
export interface World {
  stdout: TextStream;
  stderr: TextStream;
  stdin?: AsyncIterable<Uint8Array>;
  /** Aborted by the first Ctrl-C. */
  signal?: AbortSignal;
  env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Runs one command line and gives its exit code; never throws, and touches nothing of the process but what `world` holds.
 *
 * @example
 * await run(['info', 'vgg16', '--json'], { stdout: process.stdout, stderr: process.stderr }); // 0
 */
export async function run(argv: readonly string[], world: World): Promise<number> {
  const env = world.env ?? {};
  const quiet = asks(argv, '--quiet', '-q');
  const report = reporter((text) => void world.stderr.write(text), {
    terminal: world.stderr.isTTY === true,
    columns: world.stderr.columns || undefined,
  });
  const bold = (text: string) => (world.stdout.isTTY && !env.NO_COLOR && env.TERM !== 'dumb' ? `\x1b[1m${text}\x1b[22m` : text);
  const context: Omit<Context, 'options' | 'given'> = {
    signal: world.signal ?? new AbortController().signal,
    onProgress: quiet ? () => {} : (progress) => report.progress({ ...progress, item: progress.item && printable(progress.item) }),
    warn: quiet ? () => {} : (text) => report.line(printable(`vgg: ${text}`)),
    stdin: world.stdin,
    env,
    bold,
  };
  try {
    return await dispatch(argv, world, context, report.end);
  } catch (error) {
    report.end();
    return await fail(error, argv, world, env);
  }
}

async function dispatch(
  argv: readonly string[],
  world: World,
  context: Omit<Context, 'options' | 'given'>,
  end: () => void,
): Promise<number> {
  const at = findCommand(argv);
  const help = argv[at] === 'help' ? { topic: argv[at + 1] } : asks(argv, '--help', '-h') ? { topic: argv[at] } : undefined;
  if (help) {
    const text = help.topic === undefined ? mainHelp(COMMANDS, context.bold) : commandHelp(await entryOf(help.topic).load(), context.bold);
    await world.stdout.write(`${text}\n`);
    return EXIT.done;
  }
  if (at < 0) {
    if (!asks(argv, '--version')) throw noCommand(argv);
    await world.stdout.write(`${VERSION}\n`);
    return EXIT.done;
  }
  const command = await entryOf(argv[at]).load();
  const { args, values, options, given } = parse(command, argv.toSpliced(at, 1));
  const result = await command.run(args, values as Parameters<Command['run']>[1], { ...context, options, given });
  end();
  if (options.json) for (const piece of joined(jsonText(result.json))) await world.stdout.write(piece);
  const text = options.json ? '' : printable(result.text());
  if (options.json || text) await world.stdout.write(`${text}\n`);
  return result.exit ?? EXIT.done;
}

function entryOf(name: string): CommandEntry {
  const entry = COMMANDS.find((each) => each.name === name);
  if (entry) return entry;
  const names = COMMANDS.map((each) => each.name);
  throw new UsageError(`vgg: unknown command "${name}"${didYouMean(name, names)}; the commands are ${names.join(', ')}`);
}

function noCommand(argv: readonly string[]): UsageError {
  const option = argv.find((arg) => arg.startsWith('-') && !['--json', '--quiet', '-q'].includes(arg));
  return new UsageError(`vgg: expected a command${option ? `, received only ${option}` : ''}; vgg --help lists them`);
}

/** Pieces long enough to be worth a write each. */
function* joined(pieces: Iterable<string>): Generator<string> {
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length < 65536) continue;
    yield text;
    text = '';
  }
  yield text;
}

async function fail(error: unknown, argv: readonly string[], world: World, env: NonNullable<World['env']>): Promise<number> {
  const exit = exitCodeOf(error);
  const code = isVggError(error) ? error.code : 'VGG_INTERNAL';
  const message = exit === EXIT.interrupted ? 'interrupted' : messageOf(error);
  const more = (error as { details?: object } | undefined)?.details;
  // A library's many-line message is shortened to its first for people; its whole story is there with VGG_DEBUG.
  const sentence = printable(message.split('\n')[0]).replace(/^vgg:? /, '');
  world.stderr.write(`vgg: ${sentence} [${code}]\n`);
  if (env.VGG_DEBUG) for (let each = error; each instanceof Error; each = each.cause) world.stderr.write(`${each.stack}\n`);
  if (asks(argv, '--json')) await world.stdout.write(`${JSON.stringify({ error: { code, message }, ...more })}\n`);
  return exit;
}
