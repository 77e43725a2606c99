import { randomUniform, tidy } from '@tensorflow/tfjs-core';
import type { Backend } from '../../packages/core/src/index.js';
import type { Network } from '../../packages/vgg/src/network/plan.js';
import { initialWeights } from '../../packages/vgg/src/train/initialize.js';
import { makeOptimizer, type Optimizer } from '../../packages/vgg/src/train/optimizer.js';
import { type Portion, Trainable } from '../../packages/vgg/src/train/trainable.js';

const OPTIMIZER = { momentum: 0.9, weightDecay: 5e-4 };

/** A network that learns, and pictures to learn from. */
export class Learner {
  private constructor(
    private readonly trainable: Trainable,
    private readonly portion: Portion,
    private readonly optimizer: Optimizer,
  ) {}

  /** @param cuts the layers whose maps are kept where the others are computed anew; none: all are kept */
  static async open(backend: Backend, net: Network, batch: number, cuts: readonly string[] = []): Promise<Learner> {
    const file = initialWeights(net, { seed: 1 });
    const trainable = await Trainable.open(backend, net, (name) => file.read(name), { cuts });
    const side = net.size;
    const x = tidy(() => randomUniform([batch, side, side, 3], -1, 1, 'float32', 1).dataSync().slice()) as Float32Array;
    const labels = Int32Array.from({ length: batch }, (_, i) => i % net.classes);
    const portion: Portion = { x, shape: [batch, side, side, 3], labels, share: 1, key: [1] };
    return new Learner(trainable, portion, makeOptimizer(OPTIMIZER));
  }

  /** A step of the trainer: forward, backward and the optimiser's. @returns the loss */
  async step(): Promise<number> {
    const { loss } = await this.trainable.learn(this.portion);
    this.trainable.step(this.optimizer, 0.01);
    return loss;
  }

  dispose(): void {
    this.trainable.dispose();
    this.optimizer.dispose();
  }
}
