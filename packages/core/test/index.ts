export { describeEachBackend } from './backends.js';
export { checkOp, noise, type OpCase } from './check-op.js';
export { STEP, TOLERANCE } from './tolerance.js';
