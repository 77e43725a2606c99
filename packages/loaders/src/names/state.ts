/** What training leaves in a file beside the weights; each was seen in files of the program named. */
const STATE: readonly RegExp[] = [
  /(?:^|\.)num_batches_tracked$/, // PyTorch's batch normalisation
  /^(?:optim|optimizer|optimizer_state_dict|lr_scheduler|scheduler)[./]/, // a training checkpoint of PyTorch; Keras 3
  /^(?:epoch|best_acc|best_prec1|iteration|global_step)$/,
  /(?:^|\/)(?:global_step|beta[12]_power(?:_\d+)?|save_counter)$/, // TensorFlow 1's Saver; tf.train.Checkpoint
  /\/(?:Momentum|Adam(?:_\d+)?|RMSProp(?:_\d+)?|Adagrad|ExponentialMovingAverage)$/, // slots of TensorFlow 1's optimizers
  /\/\.OPTIMIZER_SLOT\//,
  /(?:^|\/)(?:optimizer|_optimizer|keras_api)\//,
  /(?:^|\/)(?:mean_rgb|dropout_state|seed_generator_state)$/, // TF-Slim's mean pixel; Keras 3's random generators
  /^_CHECKPOINTABLE_OBJECT_GRAPH$/,
];

/** Whether a tensor of this name carries no weights. */
export function isTrainingState(name: string): boolean {
  const bare = bareName(name);
  return STATE.some((pattern) => pattern.test(name) || pattern.test(bare));
}

/** Without what TensorFlow puts behind each variable: `:0`, or the path of an object-based checkpoint. */
export function bareName(name: string): string {
  return name.replace(/\/\.ATTRIBUTES\/VARIABLE_VALUE$/, '').replace(/:0$/, '');
}
