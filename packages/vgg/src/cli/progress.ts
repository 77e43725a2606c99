import type { Progress } from '@vgg/errors';
import { bytes } from './text.js';

/** A terminal is redrawn at most this often, in ms; */
const REDRAW = 100;
/** a log gets a line of a stage that has lasted this long, so that none stands in front of an error that comes at once, */
const HOLD = 1000;
/** and then at most one in this time. */
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
  measure: 'measuring colours,',
  validate: 'validating',
  compare: 'comparing',
  'choose l2': 'choosing the L2 strength,',
};

export interface Reporter {
  progress(progress: Progress): void;
  /** A line of its own: a warning, a note. */
  line(text: string): void;
  /** Takes the bar away; what is told of progress after it is passed over. */
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
  let told = false;
  let drawn = false;
  let over = false;
  const clear = () => {
    if (drawn) write('\r\x1b[K');
    drawn = false;
  };
  return {
    progress(progress) {
      const ended = progress.total !== undefined && progress.loaded >= progress.total;
      if (over) return;
      const time = now();
      const fresh = progress.stage !== stage;
      if (fresh) [stage, began, told] = [progress.stage, time, false];
      const due = terminal ? fresh || ended || time - last >= REDRAW : time - began >= HOLD && !(told && time - last < LINE);
      if (!due) return;
      [last, told] = [time, true];
      if (terminal) {
        write(`\r\x1b[K${bar(progress, last - began).slice(0, columns - 1)}`);
        drawn = true;
      } else write(`${sentence(progress)}\n`);
    },
    line(text) {
      clear();
      write(`${text}\n`);
    },
    end() {
      clear();
      over = true;
    },
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
