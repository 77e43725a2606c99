import type { Progress } from '@vgg/errors';
import { bytes } from './text.js';

/** A terminal is redrawn at most this often, in ms; */
const REDRAW = 100;
/** a log gets a line a stage, and then at most one in this time. */
const LINE = 5000;
const BAR = 24;

/** Stages that count bytes; the others count pictures or epochs. */
const BYTE_STAGES = new Set(['download', 'verify', 'read', 'convert', 'write']);
const VERBS: Record<string, string> = {
  download: 'downloading',
  verify: 'verifying',
  read: 'reading weights',
  convert: 'converting',
  decode: 'decoding',
  extract: 'extracting',
  train: 'training',
  compare: 'comparing',
  'choose l2': 'choosing the L2 strength,',
};

export interface Reporter {
  progress(progress: Progress): void;
  /** A line of its own: a warning, a note. */
  line(text: string): void;
  /** Takes the bar away. */
  end(): void;
}

/**
 * Progress on standard error: a bar on a terminal, a few plain lines anywhere else.
 * @param now a clock in ms
 */
export function reporter(
  write: (text: string) => void,
  { terminal, columns = 80, now = () => performance.now() }: { terminal: boolean; columns?: number; now?: () => number },
): Reporter {
  let stage = '';
  let began = 0;
  let last = -Infinity;
  let drawn = false;
  const clear = () => {
    if (drawn) write('\r\x1b[K');
    drawn = false;
  };
  return {
    progress(progress) {
      const ended = progress.total !== undefined && progress.loaded >= progress.total;
      const fresh = progress.stage !== stage;
      const due = fresh || now() - last >= (terminal ? REDRAW : LINE);
      // A log says that a stage began and, where that was not at once, how it goes on; only the bar must also reach its end.
      if (!due && !(terminal && ended)) return;
      last = now();
      if (fresh) began = last;
      stage = progress.stage;
      if (terminal) {
        write(`\r\x1b[K${bar(progress, last - began).slice(0, columns - 1)}`);
        drawn = true;
      } else write(`${sentence(progress)}\n`);
    },
    line(text) {
      clear();
      write(`${text}\n`);
    },
    end: clear,
  };
}

function sentence({ stage, loaded, total, item }: Progress): string {
  const amount = BYTE_STAGES.has(stage) ? bytes : String;
  const of = total === undefined ? '' : ` of ${amount(total)}`;
  return `${VERBS[stage] ?? stage} ${amount(loaded)}${of}${item ? ` (${item})` : ''}`;
}

/** What is left is worth naming after this time in a stage, in ms, and where it is longer than that. */
const SOON = 3000;

function bar(progress: Progress, elapsed: number): string {
  const { loaded, total } = progress;
  if (!total) return sentence(progress);
  const part = Math.min(1, loaded / total);
  const filled = Math.round(BAR * part);
  const left = part > 0 ? elapsed / part - elapsed : 0;
  const remaining = elapsed > SOON && left > SOON ? `${duration(left)} left, ` : '';
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${Math.floor(100 * part)} % ${remaining}${sentence(progress)}`;
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
