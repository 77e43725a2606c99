import type { Progress } from '@vgg/errors';
import { bytes } from './text.js';

/** A terminal is redrawn at most this often, in ms; */
const REDRAW = 100;
/** a log gets a line a stage, and then at most one in this time. */
const LINE = 5000;
const BAR = 24;

/** Stages that count bytes; the others count pictures or epochs. */
const BYTE_STAGES = new Set(['download', 'verify', 'read', 'write']);
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
      stage = progress.stage;
      last = now();
      if (terminal) {
        write(`\r\x1b[K${bar(progress).slice(0, columns - 1)}`);
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

function bar(progress: Progress): string {
  const { loaded, total } = progress;
  if (!total) return sentence(progress);
  const filled = Math.round(BAR * Math.min(1, loaded / total));
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${Math.floor((100 * Math.min(loaded, total)) / total)} % ${sentence(progress)}`;
}
