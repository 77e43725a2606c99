import { readFile, stat } from 'node:fs/promises';
import { isVggError, messageOf, VggError } from '@vgg/errors';
import { network } from '../network/architecture.js';
import { parsePlan } from '../network/parse-plan.js';
import type { PlanInput } from '../network/plan.js';
import { readArch } from '../weights/match-network.js';
import { UsageError } from './exit.js';

/** For the help. */
export const ARCH_HELP =
  'a name (vgg16, vgg16_bn, cifar_vgg16_bn), a letter of the paper (D), a plan as JSON such as {"blocks":[[32],[64]]} or in a plan.json, or a .prototxt';

/** A plan is some hundred bytes of JSON; a model.json of weights some ten thousand. */
const MAX_PLAN = 1 << 20;

/** What `--arch` names: an architecture's name as it is, or the plan in a file or a prototxt. @throws UsageError for an unknown name */
export async function archOf(given: string | undefined): Promise<string | PlanInput | undefined> {
  if (given === undefined) return undefined;
  const plan = await planIn(given);
  if (plan) return plan;
  const drawn = await readArch(given, {});
  if (drawn !== given) return drawn;
  try {
    network(given);
    return given;
  } catch (error) {
    if (isVggError(error, 'VGG_ARCHITECTURE')) throw new UsageError(messageOf(error), error.code);
    throw error;
  }
}

/** The plan in a JSON file that has `blocks`; undefined for any other file, or none. */
export async function planIn(path: string): Promise<PlanInput | undefined> {
  if (!path.toLowerCase().endsWith('.json')) return undefined;
  const size = await stat(path).then(
    (found) => (found.isFile() ? found.size : Number.POSITIVE_INFINITY),
    () => Number.POSITIVE_INFINITY,
  );
  if (size > MAX_PLAN) return undefined;
  const text = await readFile(path, 'utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (json === null || typeof json !== 'object' || !('blocks' in json)) return undefined;
  try {
    parsePlan(json);
    // As it is: what it leaves open of the dense layers is taken from the weights.
    return json as PlanInput;
  } catch (error) {
    if (!isVggError(error)) throw error;
    throw new VggError(error.code, `${path}: ${error.message}`, { cause: error });
  }
}
