import { VggError } from '@vgg/errors';

/** Modules of Python whose functions run commands or code: a pickle that names one means harm. The list is for the wording alone. */
const RUNNERS = new Set(
  `__builtin__ builtins os posix nt sys subprocess commands runpy importlib imp pty shutil socket ctypes code codeop types pickle cPickle
  _pickle marshal webbrowser asyncio multiprocessing threading signal timeit cProfile profile pdb bdb trace operator functools platform
  urllib http ftplib smtplib tempfile pip`.split(/\s+/),
);

/** The error for a global that is not allowed; `module` is the part of `name` that it is imported from. */
export function refusedGlobal(name: string, module: string, who: string): VggError {
  const shown = JSON.stringify(name.slice(0, 100));
  if (RUNNERS.has(module.split('.')[0]!)) {
    return new VggError(
      'VGG_INTEGRITY',
      `${who}: expected weights, received a pickle that asks to run ${shown}; nothing was run, do not open it elsewhere`,
    );
  }
  return new VggError(
    'VGG_FORMAT',
    `${who}: expected tensors in dicts and lists, received a Python object of ${shown}; in Python, save the state_dict instead: torch.save(model.state_dict(), path)`,
  );
}
