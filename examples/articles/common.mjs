// What the five programs share: options, `--help`, errors in one sentence, and the command line of the package.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** Runs a program with its options; `--help` prints the comment that its file begins with. Ctrl-C aborts the signal. */
export async function start(url, options, program) {
  try {
    const given = { ...options, help: { type: 'boolean', short: 'h' } };
    const { values, positionals } = parseArgs({ allowPositionals: true, options: given });
    if (values.help) {
      const [, comment] = /^((?:\/\/.*\n)+)/.exec(await readFile(fileURLToPath(url), 'utf8'));
      return console.log(comment.replace(/^\/\/ ?/gm, '').trimEnd());
    }
    const interrupted = new AbortController();
    process.once('SIGINT', () => interrupted.abort());
    await program(values, positionals, interrupted.signal);
  } catch (error) {
    console.error(`${error.message}${error.code ? ` [${error.code}]` : ''}`);
    process.exitCode = error.code === 'VGG_ABORTED' ? 130 : 1;
  }
}

/** A name, or a plan as JSON, as an option has it. */
export const archOf = (given) => (given.trimStart().startsWith('{') ? JSON.parse(given) : given);

/** A command of the package, whose lines on the way go to standard error: what it gives as JSON. */
export async function vgg(...args) {
  const bin = fileURLToPath(new URL('../bin/vgg.js', import.meta.resolve('vgg')));
  const child = spawn(process.execPath, [bin, ...args.filter((arg) => arg !== undefined), '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [out, code] = await Promise.all([text(child.stdout), new Promise((resolve) => child.once('close', resolve))]);
  if (code !== 0) throw new Error(`vgg ${args[0]} ended with ${code}`);
  return JSON.parse(out);
}

/** `--name value`, or nothing. */
export const flag = (name, value) => (value === undefined ? [] : [`--${name}`, String(value)]);

export const percent = (part) => `${(100 * part).toFixed(2)} %`;
