/**
 * What the pickle machine accepts of a stranger's file. A VGG's state dict takes 2,000 to 10,000 opcodes, with its optimizer three times
 * that; the limits leave room for any real checkpoint and none for a file that is made to exhaust memory or time.
 */

/** Opcodes of one pickle, and items that an object copies out of another: some 0.2 s of work. */
export const MAX_STEPS = 2 ** 19;
/** Lists, dicts, tuples and objects of one pickle: each takes up to 250 bytes of memory, and as few as one in the file. */
export const MAX_OBJECTS = 2 ** 17;
/** Values waiting on the stack: Python's pickler writes 1000 items at a time. */
export const MAX_STACK = 2 ** 16;
/** Marks within marks: one for each level of nesting. */
export const MAX_MARKS = 1024;
/** Containers within containers where tensors are looked for. */
export const MAX_DEPTH = 16;
/** Values looked at for tensors: a list that is in itself many times over is looked at many times over. */
export const MAX_VISITS = 2 ** 18;
/** Tensors of one file: a VGG-19 with normalisation has 102, and three times as many with its optimizer. */
export const MAX_TENSORS = 2 ** 15;
/** Characters of a tensor's name, with those of the dicts around it. */
export const MAX_NAME = 1024;
/** Bytes of a string that is kept as text; longer ones stay in the file, and only their place is kept. */
export const MAX_TEXT = 4096;
/** Bytes of a whole number: PyTorch's magic number has 10. */
export const MAX_INTEGER = 64;
/** Axes of a tensor, as `countOf` has it. */
export const MAX_AXES = 8;
