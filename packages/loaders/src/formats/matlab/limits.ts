/**
 * What the readers accept of a stranger's MATLAB file. MatConvNet's VGG-16 has 37 layers of some ten fields each, and the names of 1000
 * classes: some 3000 values, five deep. The limits leave room for any real network and none for a file made to exhaust memory or time.
 */

/** Values (arrays, cells, structs, texts) of one file. */
export const MAX_VALUES = 65536;
/** Cells in structs in cells ... */
export const MAX_DEPTH = 32;
/** Variables of one file: MatConvNet's networks are a few, a state dict saved by name some hundred. Compressed ones are unpacked one by one. */
export const MAX_VARIABLES = 1024;
/** Characters of all paths of arrays together, such as `net.layers{1}.weights{1}`: a hundred thousand of a hundred. */
export const MAX_PATHS = 2 ** 23;
/** Characters of one text. */
export const MAX_TEXT = 2 ** 20;
/** Bytes of a variable's or a field's name: MATLAB's own limit is 63, and 7.3 files have longer ones of other programs. */
export const MAX_NAME = 1024;
/** Fields of one struct. */
export const MAX_FIELDS = 4096;
/** Arrays of up to so many values are kept when the index is read: settings such as a stride, and not weights. */
export const MAX_SETTING = 64;
/** Bytes that are read for such an array at most: a chunk of HDF5 may hold half a gigabyte of zeros around it. */
export const MAX_SETTING_COST = 2 ** 16;
/**
 * A compressed file unpacks to 64 MiB and 100 times its size at most: float weights pack to nine tenths, pruned ones to a tenth or so, and
 * deflate could make 1032 bytes out of one, of which the index would have to unpack gigabytes.
 */
export const UNPACKED_FREE = 64 * 2 ** 20;
export const MAX_RATIO = 100;
