import { VggError } from '@vgg/errors';
import { describeShapes, openWeights, type WeightFile } from '@vgg/loaders';
import { io } from '#io';
import { findArchitecture, network as makeNetwork, type NetworkOptions } from '../network/architecture.js';
import { planOfGraph } from '../network/graph.js';
import { inferNetwork, openTop, type WeightShapes } from '../network/infer.js';
import type { Network, Plan, PlanInput } from '../network/plan.js';
import type { FetchOptions } from './download.js';
import { METADATA } from './metadata.js';
import type { PublishedSet } from './published-sets.js';

/** What is known of a file before it is opened, and what the caller wants. */
interface Known {
  /** An architecture, a plan or its JSON, said by the caller or by the published set. */
  readonly arch: string | PlanInput | undefined;
  readonly set: PublishedSet | undefined;
  readonly options: NetworkOptions;
  /** The file's name, for messages. */
  readonly name: string;
}

/**
 * The network that a file's weights are of: what the caller says, its dense layers as the file has them where a plan leaves them open; else,
 * or where the caller says its name, the plan in the file's metadata; else the layers that the file tells of (a prototxt, an ONNX graph,
 * MatConvNet's list), where they are of the family; else the one with these shapes.
 *
 * @throws VggError `VGG_ARCHITECTURE`, `VGG_FORMAT`
 */
export function networkOf(file: WeightFile, { arch, set, options: given, name }: Known): Network {
  const drawn = file.graph && planOfGraph(file.graph);
  // A prototxt is a text that people change: its layers count, not what is noted of them above.
  const stored = drawn && /^(?:caffe|prototxt)$/.test(file.format) ? undefined : file.metadata.get(METADATA.plan);
  if (stored && (arch === undefined || isNamed(stored, arch))) return makeNetwork(stored, given);
  if (file.tensors.size === 0 && file.graph) {
    if (arch === undefined && !drawn) throw otherFamily(name);
    return makeNetwork(arch ?? drawn!, given);
  }
  const shapes = shapesOf(file);
  // Caffe's pools round up; how the programs of other files pool, the file or the published set says.
  const rounding = drawn?.rounding ?? set?.rounding ?? (file.format.startsWith('caffe') ? 'ceil' : undefined);
  const options: NetworkOptions = { rounding, ...(shapes.denses.length === 0 ? { top: false } : {}), ...given };
  if (arch === undefined && drawn) return makeNetwork(drawn, options);
  if (arch !== undefined && (typeof arch !== 'string' || arch.trimStart().startsWith('{'))) {
    const { plan } = makeNetwork(arch, options);
    const stated = typeof arch === 'string' ? (JSON.parse(arch) as Partial<Plan>) : arch;
    return makeNetwork(arch, { ...openTop(stated, shapes, plan, name), ...options });
  }
  // A known name says which column it is; classes, batch norm and input size are the file's.
  const { plan } = inferNetwork(shapes, { name: arch, source: name });
  return makeNetwork(plan, options);
}

/** Whether a plan in a file is of the architecture that a name means: the file then knows its size best. */
function isNamed(plan: string, arch: string | PlanInput): boolean {
  return typeof arch === 'string' && findArchitecture(arch) !== undefined && makeNetwork(plan).name === makeNetwork(arch).name;
}

function shapesOf(file: WeightFile): WeightShapes {
  const { convs, batchNorms, dense } = describeShapes(file);
  return {
    // No VGG has windows that are not square.
    convs: convs.map(({ kernel, ...conv }) => ({ ...conv, kernel: kernel[0] === kernel[1] ? kernel[0] : Number.NaN })),
    batchNorm: batchNorms.length > 0,
    denses: dense,
  };
}

/**
 * The architecture that a caller names, read from the file where it is a prototxt's path or URL.
 * @throws VggError `VGG_ARCHITECTURE` if its network is not of the family; what reading it throws
 */
export async function readArch(arch: string | PlanInput | undefined, options: FetchOptions): Promise<string | PlanInput | undefined> {
  if (typeof arch !== 'string' || !/\.prototxt$/i.test(arch)) return arch;
  const file = await openWeights(await io.openSource(arch, options), { signal: options.signal });
  try {
    const plan = file.graph && planOfGraph(file.graph);
    if (plan) return plan;
    throw otherFamily(arch);
  } finally {
    await file.close();
  }
}

function otherFamily(who: string): VggError {
  return new VggError(
    'VGG_ARCHITECTURE',
    `${who}: expected a network of the family (3x3 and 1x1 convolutions with ReLUs, pools, dense layers), received another; \`vgg info\` lists its layers`,
  );
}
