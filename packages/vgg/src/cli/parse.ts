import { parseArgs } from 'node:util';
import { didYouMean } from '../text/suggest.js';
import { type Command, type Flag, type Flags, GLOBAL_FLAGS, type GlobalValues } from './command.js';
import { UsageError } from './exit.js';

type Token =
  | { kind: 'option'; name: string; rawName: string; index: number; value?: string; inlineValue?: boolean }
  | { kind: 'positional'; index: number; value: string }
  | { kind: 'option-terminator'; index: number };

/** Where the command's name stands among the arguments; -1 where there is none. Options of every command may come before it. */
export function findCommand(argv: readonly string[]): number {
  const first = tokens(argv, GLOBAL_FLAGS).find((token) => token.kind === 'positional');
  return first?.index ?? -1;
}

/** True where the arguments ask for it, however wrong the rest of them is. */
export function asks(argv: readonly string[], ...flags: string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? argv.length : end).some((arg) => flags.includes(arg));
}

/**
 * A command's arguments and options, checked against its flags.
 * @throws UsageError for an unknown option (with the nearest), a missing or impossible value, or the wrong number of arguments
 */
export function parse(
  command: Command,
  argv: readonly string[],
): { args: string[]; values: Record<string, unknown>; options: GlobalValues; given: ReadonlySet<string> } {
  const flags: Flags = { ...GLOBAL_FLAGS, ...command.flags };
  const values: Record<string, unknown> = Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [name, flag.type === 'boolean' ? false : flag.default]),
  );
  const args: string[] = [];
  const given = new Set<string>();
  const where = `vgg ${command.name}`;
  for (const token of tokens(argv, flags)) {
    if (token.kind === 'positional') args.push(token.value);
    if (token.kind !== 'option') continue;
    const flag = Object.hasOwn(flags, token.name) ? flags[token.name] : undefined;
    if (!flag) throw unknown(where, argv[token.index], token.rawName, flags);
    given.add(token.name);
    values[token.name] = valueFor(`${where} ${token.rawName}`, flag, token);
  }
  if (!values.help) checkCount(command, args);
  return { args, values, options: values as GlobalValues, given };
}

function tokens(argv: readonly string[], flags: Flags): Token[] {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { type, short }]) => [
      name,
      { type: type === 'boolean' ? ('boolean' as const) : ('string' as const), ...(short ? { short } : {}) },
    ]),
  );
  return parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true }).tokens as Token[];
}

function unknown(where: string, argument: string, rawName: string, flags: Flags): UsageError {
  // `-json` arrives as -j -s -o -n: people who wrote one dash meant two.
  const typed = argument.startsWith('--') ? rawName : argument.length > 2 ? `-${argument}` : argument;
  const names = Object.keys(flags).map((name) => `--${name}`);
  return new UsageError(`${where}: unknown option ${argument.split('=')[0]}${didYouMean(typed.split('=')[0], names)}; see ${where} --help`);
}

function valueFor(who: string, flag: Flag, token: { value?: string; inlineValue?: boolean }): string | number | boolean | string[] {
  const { value } = token;
  if (flag.type === 'boolean') {
    if (value !== undefined) throw new UsageError(`${who}: expected no value, received "${value}"`);
    return true;
  }
  const what = describe(flag);
  if (value === undefined || (!token.inlineValue && /^--?[a-z]/i.test(value)))
    throw new UsageError(`${who}: expected ${what}, received ${value === undefined ? 'nothing' : `the option ${value}`}`);
  const wrong = () => new UsageError(`${who}: expected ${what}, received "${value}"${flag.choices ? didYouMean(value, flag.choices) : ''}`);
  if (flag.type === 'choice') {
    if (!flag.choices?.includes(value)) throw wrong();
    return value;
  }
  if (flag.type === 'integer' || flag.type === 'number') {
    const number = value.trim() === '' ? Number.NaN : Number(value);
    const whole = flag.type === 'number' || Number.isSafeInteger(number);
    if (!Number.isFinite(number) || !whole || number < (flag.least ?? -Infinity) || number > (flag.most ?? Infinity)) throw wrong();
    return number;
  }
  const parts = value.split(',').map((part) => part.trim());
  if (value === '' || (flag.type === 'list' && parts.includes(''))) throw wrong();
  return flag.type === 'list' ? parts : value;
}

function describe(flag: Flag): string {
  if (flag.choices) return flag.choices.join(', ').replace(/, ([^,]*)$/, ' or $1');
  if (flag.type === 'list') return `${flag.value ?? 'NAME'}[,${flag.value ?? 'NAME'}...]`;
  if (flag.type === 'string') return flag.value ?? 'a value';
  const kind = flag.type === 'integer' ? 'an integer' : 'a number';
  if (flag.least === undefined) return kind;
  return flag.most === undefined ? `${kind} of at least ${flag.least}` : `${kind} from ${flag.least} to ${flag.most}`;
}

function checkCount({ name, args, least, most = Number.POSITIVE_INFINITY }: Command, given: readonly string[]): void {
  if (given.length >= least && given.length <= most) return;
  const usage = `usage: vgg ${`${name} ${args}`.trim()}`;
  if (given.length < least)
    throw new UsageError(`vgg ${name}: expected ${args}, received ${given.length === 0 ? 'nothing' : given.join(' ')}; ${usage}`);
  throw new UsageError(`vgg ${name}: unexpected argument "${given[most]}"; ${usage}`);
}
