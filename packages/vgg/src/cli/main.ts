import { run, type TextStream } from './run.js';

/** A stream whose writes resolve once they are flushed. */
function text(stream: NodeJS.WriteStream): TextStream {
  return {
    isTTY: stream.isTTY,
    columns: stream.columns,
    write: (piece) => new Promise<void>((resolve) => stream.write(piece, () => resolve())),
  };
}

async function main(): Promise<void> {
  const controller = new AbortController();
  // Once: the second Ctrl-C meets no listener any more and ends the process at once.
  process.once('SIGINT', () => controller.abort());
  process.once('SIGTERM', () => controller.abort());
  for (const stream of [process.stdout, process.stderr]) {
    // Whoever read our output has seen enough (`| head`).
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(0);
    });
  }
  process.exitCode = await run(process.argv.slice(2), {
    stdout: text(process.stdout),
    stderr: text(process.stderr),
    stdin: process.stdin,
    signal: controller.signal,
    env: process.env,
  });
}

void main();
