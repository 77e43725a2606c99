// The module `vgg/worker`: what runs in the worker of a model that was loaded with `worker`.
import { type Port, serve } from './serve.js';

serve(globalThis as unknown as Port);
