import { getGradient, registerGradient, type Tensor } from '@tensorflow/tfjs-core';
import { ELEMENTWISE } from './gradients/elementwise.js';
import { LAYERS } from './gradients/layers.js';
import { LAYOUT } from './gradients/layout.js';
import { REDUCTIONS } from './gradients/reductions.js';
import type { Rules } from './gradients/rule.js';

/**
 * Teaches tfjs the gradients of its common operations, which tfjs-core alone does not know (they come with the package `tfjs`, or not at
 * all in Node's ESM). A loss on top of this package's own operations needs them. Gradients that are there already are left alone.
 *
 * @example
 * registerGradients();
 * const slope = grad((x) => mean(square(sub(conv2d(x, filter, bias), target))));
 */
export function registerGradients(): void {
  const tables: Rules = { ...ELEMENTWISE, ...REDUCTIONS, ...LAYOUT, ...LAYERS };
  for (const [kernelName, rule] of Object.entries(tables)) {
    if (getGradient(kernelName)) continue;
    registerGradient({
      kernelName,
      ...(rule.save === 'all' ? { saveAllInputs: true } : { inputsToSave: rule.save ?? [] }),
      outputsToSave: [rule.saveOutput === true],
      gradFunc: (dy, saved, attributes) => rule.gradient(dy as Tensor, saved, attributes as Record<string, never>),
    });
  }
}
