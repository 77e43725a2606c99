import type { Plan } from '../../network/plan.js';
import { openNetworkWeights } from '../../weights/open-weights.js';
import { ARCH_HELP, archOf } from '../arch.js';
import { type Context, command, type Result } from '../command.js';
import { EXIT } from '../exit.js';
import { brief, bytes, facts, plural, some } from '../text.js';
import { type Check, checkFile } from '../verify-check.js';
import { firstDifference } from '../verify-compare.js';

export const verify = command({
  name: 'verify',
  about:
    'checks that a weight file is whole and, where it is a published one, that its hash is right; with two files, finds the first layer at which they differ',
  args: 'A [B]',
  details:
    'A and B are files, URLs or names of published sets. Two may be of different formats: their tensors are compared value by value in canonical names and layouts. Exit code 4 for a file that is not whole, 1 for two that differ.',
  least: 1,
  most: 2,
  flags: { arch: { type: 'string', value: 'ARCH', about: ARCH_HELP, defaultText: 'what the weights show' } },
  examples: [
    ['vgg verify vgg16.h5', 'is it whole, and the published file?'],
    ['vgg verify vgg16.h5 vgg16.safetensors', 'do both hold the same values?'],
  ],
  async run([a, b], { arch }, context) {
    const named = await archOf(arch);
    return b === undefined ? report(a, await checkFile(a, named, context)) : compare(a, b, named, context);
  },
});

async function compare(a: string, b: string, arch: string | Plan | undefined, context: Context): Promise<Result> {
  const { signal, onProgress } = context;
  const first = await openNetworkWeights(arch, { weights: a, signal, onProgress }, true);
  try {
    const second = await openNetworkWeights(arch, { weights: b, signal, onProgress }, true);
    try {
      const difference = await firstDifference(first, second, context);
      const largest = difference?.maxDifference === undefined ? '' : `; the largest difference is ${brief(difference.maxDifference)}`;
      return {
        json: { ok: difference === null, a, b, firstDifference: difference },
        text: () =>
          difference
            ? `${a} and ${b} differ from ${difference.layer} on: ${difference.tensor} ${difference.reason}${largest}`
            : `${a} and ${b} hold the same values`,
        exit: difference === null ? EXIT.done : EXIT.failure,
      };
    } finally {
      await second.file.close();
    }
  } finally {
    await first.file.close();
  }
}

function report(what: string, { bytes: size, hashes, published, hashMatches, tensors }: Check): Result {
  const isWhole = tensors === undefined || tensors.faults.length === 0;
  const ok = isWhole && hashMatches !== false;
  const complete = tensors ? tensors.missing.length === 0 : null;
  const upTo = complete === false && isWhole ? `, up to ${tensors?.reaches}` : '';
  return {
    json: {
      ok,
      firstDifference: null,
      file: what,
      bytes: size,
      hashes,
      published: published?.id ?? null,
      hashMatches,
      format: tensors?.format ?? published?.format,
      architecture: tensors?.architecture ?? published?.architecture,
      complete,
      reaches: tensors?.reaches ?? null,
      present: tensors?.present,
      faults: tensors?.faults,
      missing: tensors?.missing ?? [],
    },
    text: () =>
      facts([
        ['file', `${what}, ${bytes(size)}${tensors ? `, ${tensors.format}` : ''}`],
        ['network', tensors && `${tensors.architecture}${tensors.top ? '' : ' without its dense layers'}`],
        ...Object.entries(hashes),
        ['published', publishedText(published?.id, hashMatches)],
        ['tensors', tensors ? `${plural(tensors.present, 'tensor')} whole` : 'not looked at: this format is not read yet'],
        ['faults', isWhole ? undefined : some(tensors.faults.map(({ tensor, message }) => `${tensor} (${message})`))],
        ['missing', complete === false ? some(tensors?.missing ?? []) : undefined],
        ['result', ok ? `ok${upTo}` : hashMatches === false ? 'NOT the published file' : 'NOT whole'],
      ]),
    exit: ok ? EXIT.done : EXIT.integrity,
  };
}

function publishedText(id: string | undefined, matches: boolean | null): string {
  if (id === undefined) return 'no published file has this size, so there is no hash to compare with';
  if (matches === null) return `${id} has this size, and no published hash`;
  return matches ? `it is ${id}, by its hash` : `it has the size of ${id}, and another hash`;
}
