import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { type DataId, getKernel, type KernelConfig, registerKernel, type TensorInfo, unregisterKernel } from '@tensorflow/tfjs-core';
import { ADAM_STEP, SGD_STEP, SUM_SQUARES } from '../names.js';
import { itemSize, type LayerModule, LayerRunner } from './layer-runner.js';
import type { KernelArguments } from './override.js';
import type { WasmRuntime } from './runtime.js';

/** The description of a job, and behind it a one: the scale where none is given. */
const JOB_BYTES = 128;
const ONE = 124;
/** Numbers in a line of the cache: what two threads write does not share one, as a rule. */
const UNIT = 16;
/** Numbers whose squares one item sums. */
const SQUARES_PER_ITEM = 2 ** 16;

/** What both steps take; `first` and `second` are what the optimiser keeps. */
interface StepInputs {
  value: TensorInfo;
  gradient: TensorInfo;
  first?: TensorInfo;
  second?: TensorInfo;
  scale?: TensorInfo;
}
type Attributes = Record<string, number>;

const installed = new WeakSet<BackendWasm>();

/**
 * Registers kernels that take the steps of optimisers in place, in the memory of the parameter and of what the optimiser keeps of it.
 * They end with the backend.
 *
 * @param changed is told of each parameter that was changed
 */
export function installOptimizerSteps(runtime: WasmRuntime, module: LayerModule, changed: (dataId: DataId) => void): void {
  const { backend } = runtime;
  if (installed.has(backend)) return;
  installed.add(backend);
  const runner = new LayerRunner(runtime, module);
  const step = (take: (inputs: StepInputs, attrs: Attributes) => void) => (args: KernelArguments) => {
    const inputs = args.inputs as unknown as StepInputs;
    take(inputs, args.attrs as Attributes);
    forgetOperators(backend, inputs.value.dataId);
    changed(inputs.value.dataId);
    return [];
  };
  const kernels: KernelConfig[] = Object.entries({
    [SGD_STEP]: step((inputs, attrs) => sgdStep(runner, inputs, attrs)),
    [ADAM_STEP]: step((inputs, attrs) => adamStep(runner, inputs, attrs)),
    [SUM_SQUARES]: ({ inputs }: KernelArguments) => sumSquares(runner, inputs.x as TensorInfo),
  }).map(([kernelName, kernelFunc]) => ({ kernelName, backendName: 'wasm', kernelFunc }));
  for (const kernel of kernels) {
    if (getKernel(kernel.kernelName, 'wasm')) unregisterKernel(kernel.kernelName, 'wasm');
    registerKernel(kernel);
  }
  const { dispose } = backend;
  backend.dispose = () => {
    for (const kernel of kernels) if (getKernel(kernel.kernelName, 'wasm') === kernel) unregisterKernel(kernel.kernelName, 'wasm');
    runner.workspace.dispose();
    dispose.call(backend);
  };
}

function sgdStep(runner: LayerRunner, inputs: StepInputs, attrs: Attributes): void {
  const { momentum, nesterov } = attrs;
  run(runner, 'sgdStepItem', inputs, attrs, [{ float: momentum }, { word: nesterov ? 1 : 0 }]);
}

function adamStep(runner: LayerRunner, inputs: StepInputs, attrs: Attributes): void {
  const { beta1, beta2, root, epsilon } = attrs;
  run(
    runner,
    'adamStepItem',
    inputs,
    attrs,
    [1 - beta1, beta2, 1 - beta2, root, epsilon].map((float) => ({ float })),
  );
}

type Field = { word: number } | { float: number };

function run(
  runner: LayerRunner,
  item: 'sgdStepItem' | 'adamStepItem',
  { value, gradient, first, second, scale }: StepInputs,
  { decay, shrink, rate }: Attributes,
  own: readonly Field[],
): void {
  const { workspace } = runner;
  const count = value.shape.reduce((product, size) => product * size, 1);
  const tensors = [value, gradient, ...[first, second].filter((kept) => kept !== undefined)];
  // Each is read, and all but the gradient are written.
  const threads = runner.threadsFor({ bytes: 4 * count * (2 * tensors.length - 1) });
  const perItem = itemSize(count, threads, UNIT);
  const job = workspace.scratch(JOB_BYTES);
  const at = (tensor: TensorInfo | undefined) => (tensor ? workspace.pointer(tensor) : 0);
  const words = [at(value), at(gradient), scale ? at(scale) : job + ONE, at(first), at(second), count, perItem];
  const fields: Field[] = [...words.map((word) => ({ word })), { float: decay }, { float: shrink }, { float: rate }, ...own];
  fields.forEach((field, i) => {
    if ('word' in field) workspace.write(job + 4 * i, [field.word]);
    else workspace.floats(job + 4 * i, 1)[0] = field.float;
  });
  workspace.floats(job + ONE, 1)[0] = 1;
  runner.run(item, { job, work: 0, stride: 0, items: Math.ceil(count / perItem), threads });
}

function sumSquares(runner: LayerRunner, x: TensorInfo): TensorInfo {
  const { workspace } = runner;
  const count = x.shape.reduce((product, size) => product * size, 1);
  const items = Math.ceil(count / SQUARES_PER_ITEM);
  const output = workspace.makeOutput('sumSquares', []);
  const job = workspace.scratch(JOB_BYTES + items * 8);
  const sums = job + JOB_BYTES;
  workspace.write(job, [workspace.pointer(x), sums, count, SQUARES_PER_ITEM]);
  runner.run('sumSquaresItem', { job, work: 0, stride: 0, items, threads: runner.threadsFor({ bytes: 4 * count }) });
  const parts = new Float64Array(workspace.runtime.memory.buffer, sums, items);
  workspace.floats(workspace.pointer(output), 1)[0] = parts.reduce((sum, part) => sum + part, 0);
  return output;
}

/**
 * XNNPACK packs the filters of tfjs's own convolutions and keeps them until the tensor's number goes: here it goes and comes back, with the
 * memory as it is.
 */
function forgetOperators(backend: BackendWasm, dataId: DataId): void {
  const { dataIdMap, wasm } = backend as unknown as {
    dataIdMap: { get(dataId: DataId): { id: number; memoryOffset: number; shape: number[] } };
    wasm: { tfjs: { registerTensor(id: number, size: number, offset: number): void; disposeData(id: number): void } };
  };
  const { id, memoryOffset, shape } = dataIdMap.get(dataId);
  wasm.tfjs.disposeData(id);
  wasm.tfjs.registerTensor(
    id,
    shape.reduce((product, size) => product * size, 1),
    memoryOffset,
  );
}
