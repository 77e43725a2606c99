import type { OnProgress } from '@vgg/errors';

/** One option of a command, as data: it is parsed, checked and documented from this. */
export interface Flag {
  readonly type: 'boolean' | 'string' | 'list' | 'integer' | 'number' | 'choice';
  /** One line for the help. */
  readonly about: string;
  /** What stands for the value in the help, such as `FILE`; choices list themselves. */
  readonly value?: string;
  readonly choices?: readonly string[];
  /** The value without the option; shown in the help, and taken from the library wherever it has one. */
  readonly default?: string | number | boolean;
  /** A default in words, where it is found only while running. */
  readonly defaultText?: string;
  /** Least and most value of a number. */
  readonly least?: number;
  readonly most?: number;
  readonly short?: string;
}

export type Flags = Readonly<Record<string, Flag>>;

type ValueOf<F extends Flag> = F['type'] extends 'boolean'
  ? boolean
  : F['type'] extends 'integer' | 'number'
    ? number
    : F['type'] extends 'list'
      ? readonly string[]
      : F extends { choices: readonly (infer Choice)[] }
        ? Choice
        : string;

/** What a command receives for its flags: values with a default are always there. */
export type Values<F extends Flags> = {
  readonly [Name in keyof F]: F[Name] extends { default: string | number | boolean } | { type: 'boolean' }
    ? ValueOf<F[Name]>
    : ValueOf<F[Name]> | undefined;
};

/** Options that every command takes. */
export const GLOBAL_FLAGS = {
  json: { type: 'boolean', about: 'one JSON document on standard output instead of text' },
  backend: {
    type: 'choice',
    choices: ['auto', 'webgpu', 'wasm', 'cpu'],
    about: 'what computes; a backend that is not there is an error',
    defaultText: 'auto, or $VGG_BACKEND',
  },
  threads: {
    type: 'integer',
    value: 'N',
    least: 1,
    most: 64,
    about: 'threads of the wasm backend',
    defaultText: '$VGG_THREADS, or the number of cores, at most 8',
  },
  memory: {
    type: 'choice',
    choices: ['fast', 'balanced', 'small'],
    about: 'how much memory the wasm backend may take to be fast',
    defaultText: '$VGG_MEMORY, or fast',
  },
  seed: { type: 'integer', value: 'N', about: 'seed of everything random', default: 0 },
  quiet: { type: 'boolean', short: 'q', about: 'no progress and no warnings' },
  help: { type: 'boolean', short: 'h', about: 'show this help' },
} as const satisfies Flags;

export type GlobalValues = Values<typeof GLOBAL_FLAGS>;

/** What a command may use of the world; nothing else of the process is touched. */
export interface Context {
  readonly options: GlobalValues;
  /** The names of the options that were given, not left to their defaults. */
  readonly given: ReadonlySet<string>;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  /** One line on standard error, unless `--quiet`. */
  warn(text: string): void;
  /** Standard input, for `-`. */
  readonly stdin: AsyncIterable<Uint8Array> | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text made bold where the terminal can. */
  bold(text: string): string;
}

/** What a command gives back: the JSON document, the text for people, and the exit code (0). */
export interface Result {
  readonly json: object;
  readonly text: () => string;
  readonly exit?: number;
}

export interface Command<F extends Flags = Flags> {
  readonly name: string;
  /** One sentence that says what it does. */
  readonly about: string;
  /** Its arguments in the usage line, such as `IMAGES...`. */
  readonly args: string;
  /** What the arguments may be, a paragraph. */
  readonly details?: string;
  readonly flags: F;
  /** Command lines that work, and what they do. */
  readonly examples: readonly (readonly [line: string, about: string])[];
  /** Least and most number of arguments. */
  readonly least: number;
  readonly most?: number;
  run(args: readonly string[], values: Values<F>, context: Context): Promise<Result>;
}

/** A command whose `values` are typed by its flags. */
export function command<const F extends Flags>(definition: Command<F>): Command {
  return definition as unknown as Command;
}
