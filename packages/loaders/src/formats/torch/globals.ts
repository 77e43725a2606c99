import { VggError } from '@vgg/errors';
import type { DType } from '../../format.js';
import { shown } from '../../refusals.js';
import { opaque, PLAIN } from '../pickle/globals.js';
import { NUMPY } from '../pickle/numpy.js';
import { type Call, corrupt, Dict, describeValue, isGlobal, isWhole, type Make, textOf, type Value } from '../pickle/values.js';
import { Storage, TorchTensor } from './tensors.js';

/** The names of PyTorch's storages and tensors by what they are of. */
const KINDS: readonly [string, DType][] = [
  ['Double', 'float64'],
  ['Float', 'float32'],
  ['Half', 'float16'],
  ['BFloat16', 'bfloat16'],
  ['Long', 'int64'],
  ['Int', 'int32'],
  ['Short', 'int16'],
  ['Char', 'int8'],
  ['Byte', 'uint8'],
  ['Bool', 'bool'],
];

/** What storages are of; undefined for those of bytes. */
const STORAGES: ReadonlyMap<string, DType | undefined> = new Map([
  ...KINDS.flatMap(([name, type]): [string, DType][] => [
    [`torch.${name}Storage`, type],
    [`torch.cuda.${name}Storage`, type],
  ]),
  ['torch.UntypedStorage', undefined],
  ['torch.storage.UntypedStorage', undefined],
]);

const DTYPES: ReadonlyMap<string, DType> = new Map(
  (
    ['float64', 'float32', 'float16', 'bfloat16', 'int64', 'int32', 'int16', 'int8', 'uint8', 'uint16', 'uint32', 'uint64', 'bool'] as const
  ).map((type) => [`torch.${type}`, type]),
);

const REBUILDERS: ReadonlyMap<string, Make> = new Map<string, Make>([
  ['torch._utils._rebuild_tensor', (args, call) => tensorOf(args.slice(0, 4), call)],
  ['torch._utils._rebuild_tensor_v2', (args, call) => tensorOf(args.slice(0, 4), call, args[6])],
  ['torch._utils._rebuild_tensor_v3', (args, call) => tensorOf(args.slice(0, 4), call, args[7], typeOf(args[6], call.who))],
  ['torch._utils._rebuild_parameter', first],
  ['torch._utils._rebuild_parameter_with_state', first],
]);

/** Globals of PyTorch that state dicts are made of, since 2016. */
const TORCH: ReadonlyMap<string, Make> = new Map<string, Make>([
  ...REBUILDERS,
  ['torch.nn.parameter.Parameter', variable],
  ['torch.nn.parameter.Buffer', variable],
  ['torch.autograd.variable.Variable', variable],
  ['torch.Tensor', variable],
  ['torch._tensor._rebuild_from_type_v2', rebuildFromType],
  ['torch.Size', ([sizes = []]) => sizes],
  ['torch.device', opaque],
  ['torch.serialization._get_layout', opaque],
  ...[...STORAGES.keys(), ...DTYPES.keys()].map((name): [string, Make] => [name, onlyNamed]),
  ...KINDS.flatMap(([name, type]): [string, Make][] =>
    [`torch.${name}Tensor`, `torch.cuda.${name}Tensor`].map((tensor) => [tensor, () => emptyTensor(type)]),
  ),
]);

/** What a name stands for in a PyTorch file. */
export function torchGlobal(name: string): Make | undefined {
  return TORCH.get(name) ?? PLAIN.get(name) ?? NUMPY.get(name);
}

/** TorchScript's lists say of which type they are. */
const SCRIPT: ReadonlyMap<string, Make> = new Map(
  ['restore_type_tag', 'build_intlist', 'build_tensorlist', 'build_doublelist', 'build_boollist'].map((name) => [
    `torch.jit._pickle.${name}`,
    ([value = null]) => value,
  ]),
);

/** What a name stands for in a TorchScript archive, whose modules are compiled: their code is beside the pickle and is not looked at. */
export function scriptGlobal(name: string): Make | undefined {
  if (name.startsWith('__torch__.')) return () => new ScriptModule();
  return SCRIPT.get(name) ?? torchGlobal(name);
}

/** A compiled module: its attributes by name. */
class ScriptModule extends Dict {
  override build(state: Value, call: Call): void {
    if (!(state instanceof Dict)) throw corrupt(call.who, `a module in it has ${describeValue(state)} as its attributes`);
    call.charge(state.entries.size);
    for (const [name, value] of state.entries) this.entries.set(name, value);
  }
}

/**
 * What the persistent id of a storage stands for: ('storage', type, key, location, count), and in old files the view that it is.
 * @throws VggError `VGG_FORMAT` for a whole module, `VGG_INTEGRITY` for any other
 */
export function storageOf(id: Value, who: string): Storage {
  const [kind, type, stored, , count, view = null] = Array.isArray(id) ? id : [];
  if (textOf(kind) === 'module') {
    throw new VggError(
      'VGG_FORMAT',
      `${who}: expected tensors by name, received a whole model; in Python, save the state_dict instead: torch.save(model.state_dict(), path)`,
    );
  }
  const key = textOf(stored);
  if (textOf(kind) !== 'storage' || !isGlobal(type) || !STORAGES.has(type.name) || key === undefined || !isWhole(count)) {
    throw corrupt(who, `it names ${describeValue(id)} where a storage belongs`);
  }
  const of = STORAGES.get(type.name);
  if (view === null) return new Storage(key, of, count);
  const [, start, size] = Array.isArray(view) ? view : [];
  if (!isWhole(start) || !isWhole(size) || start + size > count || !of)
    throw corrupt(who, `a view in it is not inside storage ${shown(key)}`);
  return new Storage(key, of, count, start, size);
}

function emptyTensor(type: DType): TorchTensor {
  const tensor = new TorchTensor();
  tensor.type = type;
  return tensor;
}

function tensorOf(parts: readonly Value[], call: Call, metadata?: Value, type?: DType): TorchTensor {
  const { who } = call;
  if (metadata instanceof Dict) call.charge(metadata.entries.size);
  // Bits that say that the values are still to be negated or conjugated.
  if (metadata instanceof Dict && [...metadata.entries.values()].some((bit) => bit === true)) {
    throw new VggError(
      'VGG_FORMAT',
      `${who}: expected tensors as they are, received one to be negated; in Python, call resolve_neg() first`,
    );
  }
  const tensor = new TorchTensor();
  tensor.set(parts, who, type);
  return tensor;
}

function typeOf(value: Value | undefined, who: string): DType {
  const type = isGlobal(value) ? DTYPES.get(value.name) : undefined;
  if (!type) throw new VggError('VGG_FORMAT', `${who}: expected tensors of plain numbers, received one of ${describeValue(value)}`);
  return type;
}

/** A parameter is its tensor. */
function first([tensor]: readonly Value[], { who }: Call): TorchTensor {
  if (!(tensor instanceof TorchTensor)) throw corrupt(who, `a parameter in it is ${describeValue(tensor)}`);
  return tensor;
}

function variable(args: readonly Value[], call: Call): TorchTensor {
  return args.length === 0 ? new TorchTensor() : first(args, call);
}

/** (function, class, arguments, attributes), for tensors that carry attributes. */
function rebuildFromType([rebuilder, , args]: readonly Value[], call: Call): Value {
  const make = isGlobal(rebuilder) ? REBUILDERS.get(rebuilder.name) : undefined;
  if (!make || !Array.isArray(args)) throw corrupt(call.who, `a tensor in it is made by ${describeValue(rebuilder)}`);
  return make(args, call);
}

function onlyNamed(_args: readonly Value[], { who }: Call): never {
  throw corrupt(who, 'it calls the name of a type');
}
