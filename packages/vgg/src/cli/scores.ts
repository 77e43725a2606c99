import type { HistoryEntry } from '../head/train/history.js';
import { percent } from './text.js';

/** An epoch in a line; `isNumber` for what predicts numbers, whose accuracy is R2. */
export function scores({ loss, accuracy, valLoss, valAccuracy }: HistoryEntry, isNumber = false): string {
  const part = (value: number) => (isNumber ? value.toFixed(4) : percent(value));
  const own = `${isNumber ? 'squared error' : 'loss'} ${loss.toFixed(4)}, ${isNumber ? 'R2' : 'accuracy'} ${part(accuracy)}`;
  return valLoss === undefined || valAccuracy === undefined ? own : `${own}; validation ${valLoss.toFixed(4)}, ${part(valAccuracy)}`;
}
