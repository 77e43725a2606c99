import { VggError } from '@vgg/errors';
import { shown } from '../../refusals.js';
import type { Constants } from './constants.js';
import type { Model, Node } from './model.js';

/**
 * The nodes in an order in which they can run, since not every program writes them so.
 * @throws VggError `VGG_INTEGRITY` if they go in a circle, or two give one value
 */
export function inRunningOrder({ nodes }: Pick<Model, 'nodes'>, who: string): Node[] {
  const producers = producersOf(nodes, who);
  const waiting = new Map<Node, number>();
  const consumers = new Map<Node, Node[]>();
  for (const node of nodes) {
    const before = node.inputs.flatMap((name) => producers.get(name) ?? []);
    waiting.set(node, before.length);
    for (const producer of before) {
      const list = consumers.get(producer);
      if (list) list.push(node);
      else consumers.set(producer, [node]);
    }
  }
  const order = nodes.filter((node) => waiting.get(node) === 0);
  for (const node of order) {
    for (const consumer of consumers.get(node) ?? []) {
      const left = waiting.get(consumer)! - 1;
      waiting.set(consumer, left);
      if (left === 0) order.push(consumer);
    }
  }
  if (order.length < nodes.length) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected a graph without circles, received ${nodes.length - order.length} nodes in one`);
  }
  return order;
}

/** Which node gives each value. */
export function producersOf(nodes: readonly Node[], who: string): Map<string, Node> {
  const producers = new Map<string, Node>();
  for (const node of nodes) {
    for (const name of node.outputs) {
      if (name === '') continue;
      if (producers.has(name)) {
        throw new VggError('VGG_INTEGRITY', `${who}: expected each value to come from one node, received ${shown(name)} twice`);
      }
      producers.set(name, node);
    }
  }
  return producers;
}

/**
 * The nodes that the data go through from the input to the output: from the end of the longest way back, each node's first input that is
 * not constant. Side ways (to another output, or to the sizes of a shape) are left out.
 */
export function chainOf({ outputs }: Pick<Model, 'outputs'>, order: readonly Node[], constants: Constants, who: string): Node[] {
  const producers = producersOf(order, who);
  const before = (node: Node) => producers.get(dataInput(node, constants) ?? '');
  const lengths = new Map<Node, number>();
  for (const node of order) {
    const previous = before(node);
    lengths.set(node, 1 + ((previous && lengths.get(previous)) ?? 0));
  }
  let last: Node | undefined;
  for (const { name } of outputs) {
    const node = producers.get(name);
    if (node && (!last || lengths.get(node)! > lengths.get(last)!)) last = node;
  }
  const chain: Node[] = [];
  for (let node = last; node; node = before(node)) chain.push(node);
  return chain.reverse();
}

/** The value that a node works on. */
export function dataInput({ inputs }: Node, constants: Constants): string | undefined {
  return inputs.find((name) => name !== '' && !constants.has(name));
}
