import type { Comparison, Difference } from '../../compare/compare.js';
import type { PlanInput } from '../../network/plan.js';
import { withReasons } from '../../text/reasons.js';
import { ARCH_HELP, archOf } from '../arch.js';
import { type Context, command, type Result } from '../command.js';
import { EXIT } from '../exit.js';
import { OFFLINE_FLAG } from '../open-model.js';
import { brief, bytes, facts, plural, some } from '../text.js';
import { type Check, checkFile } from '../verify-check.js';

export const verify = command({
  name: 'verify',
  about:
    'checks that a weight file is whole and that its hashes are right; with two files, finds the first layer at which they differ, and why',
  args: 'A [B]',
  details:
    'A and B are files, URLs or names of published sets. One is checked against the hash of the published file of its size, and tensor by tensor against those that it carries. Two may be of different formats: their tensors are compared value by value in canonical names and layouts, and both are run on a standard picture, each with its own preprocessing; BGR for RGB, a scale, rows of fc6 in another order and the like are named. Exit code 4 for a file that is not whole, 1 for two that differ.',
  least: 1,
  most: 2,
  flags: { arch: { type: 'string', value: 'ARCH', about: ARCH_HELP, defaultText: 'what the weights show' }, offline: OFFLINE_FLAG },
  examples: [
    ['vgg verify vgg16.h5', 'is it whole, and the published file?'],
    ['vgg verify vgg16.h5 vgg16.safetensors', 'do both hold the same values?'],
    ['vgg verify mine.onnx vgg16.oxford', 'are these the weights that Oxford published?'],
  ],
  async run([a, b], { arch, offline }, context) {
    const named = await archOf(arch);
    return b === undefined ? report(a, await checkFile(a, named, offline, context)) : compare(a, b, named, offline, context);
  },
});

async function compare(
  a: string,
  b: string,
  arch: string | PlanInput | undefined,
  offline: boolean,
  { signal, onProgress, warn, options }: Context,
): Promise<Result> {
  const { compareWeights } = await import('../../compare/compare.js');
  const fetching = { offline: offline || undefined, signal, onProgress, onWarning: warn };
  const compared = await compareWeights(a, b, { arch, backend: options.backend, ...fetching });
  const { ok, firstDifference: difference } = compared;
  return {
    json: { ...compared, a, b },
    text: () => (difference ? parting(a, b, difference, compared) : `${a} and ${b} hold the same values, and do the same with them`),
    exit: ok ? EXIT.done : EXIT.failure,
  };
}

/** Where two sets part, and what comes of it, in a sentence. */
function parting(
  one: string,
  two: string,
  { layer, tensor, reason, maxDifference }: Difference,
  { differing, tensors, diverges, taps }: Comparison,
): string {
  const largest = maxDifference === undefined ? '' : `; the largest difference is ${brief(maxDifference)}`;
  const count = differing.length === 1 ? 'in one tensor alone' : `in ${differing.length} of ${plural(tensors, 'tensor')}`;
  const parts = tensor
    ? `differ ${count}: ${tensor} ${reason}${largest}`
    : differing.length === 0
      ? `hold the same values, but ${layer} ${reason}`
      : `differ: ${layer} ${reason}; the values differ too, ${count}, first ${differing[0]}`;
  return `${one} and ${two} ${parts}; ${mapsOf(diverges, taps)}`;
}

function mapsOf(diverges: string | null, taps: Comparison['taps']): string {
  const last = taps.at(-1);
  if (!last) return 'there is no layer that both can be run to';
  if (diverges === null) return `on the standard picture both come out the same up to ${last.layer}`;
  const off = `${brief(last.relative, 2)} of its maximum, cosine ${last.cosine.toFixed(4)}`;
  return `on the standard picture ${diverges} is the first layer that comes out otherwise${last.layer === diverges ? '' : `, and ${last.layer} is off by ${off}`}`;
}

function report(what: string, { bytes: size, hashes, published, hashMatches, tensors }: Check): Result {
  const isWhole = tensors.faults.length === 0;
  const ok = isWhole && hashMatches !== false;
  const complete = tensors.missing.length === 0;
  const upTo = !complete && isWhole ? `, up to ${tensors.reaches}` : '';
  return {
    json: {
      ok,
      firstDifference: null,
      file: what,
      bytes: size,
      hashes,
      published: published?.id ?? null,
      hashMatches,
      format: tensors.format,
      architecture: tensors.architecture,
      complete,
      reaches: tensors.reaches ?? null,
      present: tensors.present,
      hashed: tensors.hashed,
      faults: tensors.faults,
      missing: tensors.missing,
    },
    text: () =>
      facts([
        ['file', `${what}, ${bytes(size)}, ${tensors.format}`],
        ['network', `${tensors.architecture}${tensors.top ? '' : ' without its dense layers'}`],
        ...Object.entries(hashes),
        ['published', publishedText(published?.id, hashMatches)],
        [
          'tensors',
          `${plural(tensors.present, 'tensor')} whole${tensors.hashed > 0 ? `, checked against the hashes of ${tensors.hashed} in the file` : ''}`,
        ],
        ['faults', isWhole ? undefined : withReasons(tensors.faults.map(({ tensor, message }) => ({ name: tensor, reason: message })))],
        ['missing', complete ? undefined : some(tensors.missing)],
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
