import type { Evaluation } from '../head/evaluate/evaluation.js';
import { percent } from '../text/percent.js';
import { confusionTable } from './confusion.js';
import { factsTable, note, section } from './html.js';
import type { Measures } from './measures.js';

/** The confusion matrix, and what it comes to. */
export function predictions(evaluation: Evaluation, title: string): string {
  const { images, meanRecall, calibrationError } = evaluation;
  const summary = `${images} ${images === 1 ? 'picture' : 'pictures'}, mean recall ${percent(meanRecall)}, calibration error ${calibrationError.toFixed(3)}`;
  return section(title, confusionTable(evaluation), note(summary));
}

export function warningsAndVersions(
  { versions = {} }: { versions?: Readonly<Record<string, string | undefined>> },
  warnings: readonly string[],
): (string | undefined)[] {
  const listed = Object.entries(versions);
  return [
    warnings.length === 0 ? undefined : section('Warnings', ...warnings.map(note)),
    listed.length === 0 ? undefined : section('Versions', factsTable(listed)),
  ];
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}

/** @param measures of the losses that it tells of */
export const footer = ({ about }: Measures): string => `Written by vgg. ${about} with the parameters at the end of each epoch.`;
