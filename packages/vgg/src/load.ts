import {
  type BackendInfo,
  type BackendName,
  currentEnvironment,
  type MemoryMode,
  openBackend,
  registerGradients,
  type WorkerFactory,
  wantedMemory,
} from '@vgg/core';
import { abortable, throwIfAborted, type VggError } from '@vgg/errors';
import type { FileGraph, TensorInfo, WeightFile } from '@vgg/loaders';
import { carriedClasses } from './classes/carried.js';
import { type ClassName, classNames } from './classes/classes.js';
import { parseClasses } from './classes/parse-classes.js';
import type { SourceInput } from './io/io.js';
import { Model } from './model.js';
import { chooseMemory } from './network/memory.js';
import type { Network, PlanInput } from './network/plan.js';
import type { Preprocessing } from './pictures/preprocessing.js';
import { isDenseTap, type OpenWeightsOptions, openAnyWeights, openNetworkWeights } from './weights/open-weights.js';
import { WeightStore } from './weights/store.js';
import type { StartWorker } from './worker/start.js';

export interface LoadOptions extends OpenWeightsOptions {
  /** `auto` (the default) takes WebGPU, else WASM, else the CPU, unless the environment variable `VGG_BACKEND`, in a page `?backend=`, names one. */
  backend?: BackendName | 'auto';
  /** webgpu: plan as for a device whose buffers hold no more than this, although it could; layers that do not fit are split or run on wasm. */
  maxBindingBytes?: number;
  /** wasm: where tfjs-backend-wasm-simd.wasm is, instead of the copy inside the package (for a strict `connect-src`, or one's own CDN). */
  wasmUrl?: string | URL;
  /** wasm: the bytes of that file. */
  wasmBinary?: ArrayBuffer | Uint8Array;
  /**
   * wasm: the most threads that compute for this model, 1 to 64. Default: the environment variable `VGG_THREADS`, in a page `?threads=`,
   * else the number of cores, 8 at most. Models share their threads. In a page that is not isolated there is one.
   */
  threads?: number;
  /**
   * wasm: how much memory the model may take to be fast. The transformed filters of VGG-16's convolutions take 418 MB with `fast`, 239 MB with
   * `balanced` and 53 MB with `small`, which is about half as fast. Default: the environment variable `VGG_MEMORY`, in a page `?memory=`, else
   * `fast`, or what fits. {@link planMemory} tells beforehand.
   */
  memory?: MemoryMode;
  /** wasm: bytes that the model is planned to take at most, as by {@link planMemory} for one picture; default 4 GiB, the most a heap can have. */
  maxMemoryBytes?: number;
  /**
   * wasm, in Node 24 and later: about a quarter less time by an experimental flag of V8 that joins vectors of 128 bits, for all that the process compiles
   * from then on. Only the first load of a process can turn it on. Default: whether the environment variable `VGG_TURBO` is 1.
   */
  turbo?: boolean;
  /** wasm: makes the worker of a thread, where a page's Content-Security-Policy does not allow `worker-src blob:`. */
  workerFactory?: WorkerFactory;
  /**
   * In a page: the engine runs in a Web Worker, so that the page stays free. `true` with dist/browser; with a bundler a function that
   * starts the package's script, which then belongs to the model. Functions (`fetch`, `workerFactory`) and `Source`s cannot be
   * sent there, and the methods that take or give tensors (`activations`, `normalize`, `run`) are refused.
   */
  worker?: boolean | StartWorker;
  /** Taps whose weights are read now; the others are read when they are first asked for. */
  layers?: string | readonly string[];
  /** Names of the classes, instead of the published ImageNet ones: a file, or the names themselves. */
  classes?: SourceInput | readonly ClassName[];
}

/**
 * Opens published or own weights and gives a model that runs on this machine's best backend. Only what the wanted layers need is
 * read, so a file whose later parts are missing serves every layer before the hole.
 *
 * @param arch `vgg16`, a paper's letter, a plan, a .prototxt ...; undefined to go by the weights, and without weights for the small network
 *   inside the package
 * @throws VggError `VGG_NOT_FOUND`, `VGG_FORMAT`, `VGG_SHAPE`, `VGG_WEIGHTS_MISSING`, `VGG_NETWORK`, `VGG_INTEGRITY`, `VGG_BACKEND`, `VGG_MEMORY`,
 *   `VGG_ABORTED`, `VGG_OPTION` (a number of threads that is none, an option that cannot be sent to a `worker`)
 * @example
 * const small = await load(); // nothing is fetched: a network for 32x32 pictures of ten classes
 * (await small.classify('truck.png'))[0]; // { index: 9, label: 'truck', probability: 0.92 }
 * @example
 * const model = await load('vgg16', { weights: 'vgg16_notop.h5' });
 * model.backend.name; // 'wasm'
 * @example
 * await load('vgg16'); // published weights: fetched once, then from the cache
 * await load(undefined, { weights: 'vgg16.oxford' }); // a set by name
 * @example
 * await load(undefined, { weights: 'https://example.org/vgg16.safetensors' }); // over Range requests
 * await load(undefined, { weights: input.files }); // a page's files: a .caffemodel and its .prototxt, a model.json and its shards
 * await load('vgg16', { offline: true }); // the cache alone
 * await load('vgg16', { mirrors: ['https://files.example.org/vgg'], headers: { Authorization: token } }); // a host of one's own first
 * await load('vgg16', { fetch: throughProxy }); // any fetch
 * @example
 * await load('vgg16', { worker: true }); // vgg/browser: the engine in a Web Worker
 * // With a bundler, where engine.js is: import 'vgg/worker';
 * await load('vgg16', { worker: () => new Worker(new URL('./engine.js', import.meta.url), { type: 'module' }) });
 */
export async function load(arch?: string | PlanInput, options: LoadOptions = {}): Promise<Model> {
  throwIfAborted(options.signal, 'load');
  return abortable(loadModel(arch, options), options.signal, 'load', (late) => late.dispose());
}

async function loadModel(arch: string | PlanInput | undefined, options: LoadOptions): Promise<Model> {
  if (options.worker) return (await import('./worker/client.js')).loadInWorker(arch, options);
  const { signal, onProgress } = options;
  const taps = options.layers === undefined ? [] : [options.layers].flat();
  const { maxBindingBytes, wasmUrl, wasmBinary, threads, memory, turbo, workerFactory, onWarning } = options;
  const starting = { signal, maxBindingBytes, wasmUrl, wasmBinary, threads, memory, turbo, workerFactory, onWarning };
  let backend = await openBackend(options.backend ?? 'auto', starting);
  registerGradients();
  const { file, network, mapping, preprocessing, name, set, licence, source } = await openNetworkWeights(
    arch,
    options,
    taps.some(isDenseTap),
  );
  const store = new WeightStore(file, mapping);
  try {
    const fitting = fittingMemory(network, taps, backend.info, options);
    if (fitting !== backend.info.memory) backend = await openBackend(backend.name, { ...starting, memory: fitting });
    const { signal: _, ...fetching } = options;
    const known = options.classes ?? carriedNames(file, network, name, options.onWarning);
    const names = () => classNames(known, network.classes, set, fetching);
    const weights = { name, format: file.format, licence, source, unknown: mapping.unknown };
    const model = new Model({ network, backend, store, preprocessing, classNames: names, weights });
    // Weights that lack their first layer are of no use: this says why.
    void model.deepest;
    // A list of one's own is checked now; the published one waits until somebody classifies.
    if (options.classes !== undefined) await model.classNames();
    if (taps.length > 0) await model.ready(taps, { signal, onProgress });
    return model;
  } catch (error) {
    await store.dispose();
    throw error;
  }
}

/** The memory mode in which the model fits the heap; undefined where there are no modes. Dense layers count where a tap needs them. */
export function fittingMemory(
  network: Network,
  taps: readonly string[],
  info: BackendInfo,
  options: Pick<LoadOptions, 'memory' | 'maxMemoryBytes' | 'onWarning'>,
): MemoryMode | undefined {
  const { memory, threads } = info;
  if (!memory) return undefined;
  const { asked } = wantedMemory(options.memory, currentEnvironment());
  const { maxMemoryBytes, onWarning } = options;
  const fitting = chooseMemory(network, { memory, asked, threads, top: taps.some(isDenseTap), maxMemoryBytes });
  if (fitting !== memory) onWarning?.(`load: memory ${memory} does not fit the heap, so memory ${fitting} is taken`);
  return fitting;
}

/** Class names that the file carries; a list of another length than the outputs is left, with a warning. */
function carriedNames(
  { metadata }: WeightFile,
  network: Network,
  name: string,
  onWarning: LoadOptions['onWarning'],
): readonly ClassName[] | undefined {
  const carried = carriedClasses(metadata);
  if (carried === undefined || !network.top) return undefined;
  const names = parseClasses(carried, name);
  if (names.length === network.classes) return names;
  onWarning?.(`${name}: expected names of ${network.classes} classes in it, received ${names.length}, which are not used`);
  return undefined;
}

/** What a weight file holds, without reading any values. */
export interface Inspection {
  readonly name: string;
  readonly format: string;
  /** Undefined where it is not of the family, or the file does not tell: `problem` says why. */
  readonly network: Network | undefined;
  readonly problem: VggError | undefined;
  /** The layers as the file itself tells of them, where it does. */
  readonly graph: FileGraph | undefined;
  readonly preprocessing: Preprocessing | undefined;
  readonly licence?: string;
  readonly source?: string;
  readonly tensors: readonly TensorInfo[];
  /** Canonical tensors of the network that the file does not hold. */
  readonly missing: readonly string[];
  /** Tensors of the file that the network does not use. */
  readonly unknown: readonly string[];
  /** The deepest layer that the file's weights reach. */
  readonly reaches: string | undefined;
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Looks into a weight file: its format, network, preprocessing, tensors, and what is missing. A file of another network is looked into
 * as well, unless `arch` says what it should be.
 *
 * @throws VggError as {@link load}, but for missing weights, which are what it tells
 * @example
 * const { network, reaches } = await inspect('vgg16/model.json');
 * `${network?.name} up to ${reaches}`; // 'vgg16 up to pool3'
 */
export async function inspect(weights: SourceInput, options: OpenWeightsOptions & { arch?: string | PlanInput } = {}): Promise<Inspection> {
  const opened = await openAnyWeights(options.arch, { ...options, weights }, true);
  const { file, name, licence, source } = opened;
  try {
    if (!opened.network && options.arch !== undefined) throw opened.problem;
    const { format, metadata, graph } = file;
    const tensors = [...file.tensors.values()];
    const held = { name, format, licence, source, tensors, metadata, graph };
    if (!opened.network) {
      const { network, problem } = opened;
      return {
        ...held,
        network,
        problem,
        preprocessing: undefined,
        missing: [],
        unknown: tensors.map((each) => each.name),
        reaches: undefined,
      };
    }
    const { network, mapping, preprocessing } = opened;
    const reaches = new WeightStore(file, mapping).deepest(network.layers);
    const { missing, unknown } = mapping;
    return { ...held, network, problem: undefined, preprocessing, missing, unknown, reaches };
  } finally {
    await file.close();
  }
}
