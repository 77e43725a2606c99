/**
 * What the reader accepts of a stranger's file. A VGG's .h5 has about 60 objects, three deep, in 50 KB of metadata; the limits leave room
 * for any real network and none for a file that is made to exhaust memory or time.
 */

/** Bytes of metadata read for one index or one dataset. */
export const MAX_METADATA = 64 * 2 ** 20;
/** What a value of an attribute counts for in it: a number or a text takes some memory however short it is. */
export const VALUE_COST = 32;
/** Bytes of one structure: attributes of a model's whole configuration are the largest. */
export const MAX_STRUCTURE = 16 * 2 ** 20;
/** Groups and datasets of one file. */
export const MAX_OBJECTS = 65536;
/** Groups within groups: Keras nests models about ten deep. */
export const MAX_DEPTH = 32;
/**
 * Characters of the path of an object, as file systems have it; Keras's have some 60. Engines do not tell apart strings of more than 16,384
 * by their hashes, and a map of them is slow.
 */
export const MAX_PATH = 4096;
/** Messages of one object: each attribute is one. */
export const MAX_MESSAGES = 4096;
/** Continuations of one object header. */
export const MAX_CONTINUATIONS = 1024;
/** Levels of a B-tree: four hold millions of entries. */
export const MAX_LEVELS = 16;
/** Entries of one group or attribute list. */
export const MAX_ENTRIES = 65536;
/** Chunks of one dataset: h5py cuts fc6 of VGG-16 (411 MB) into some 4000. */
export const MAX_CHUNKS = 65536;
/** Bytes of one unpacked chunk: h5py makes them of 1 MiB at most, by hand one chunk may be a whole tensor. */
export const MAX_CHUNK_BYTES = 512 * 2 ** 20;
/** Filters of one dataset; there are three kinds we know. */
export const MAX_FILTERS = 8;
/** Deflate packs 1032 bytes into one at best (RFC 1951: 258 bytes in two bits). */
export const MAX_DEFLATE_RATIO = 1032;
/** Bytes of a dataset whose values were never written and are all the same: a bias or a small layer, not an allocation out of nothing. */
export const MAX_UNWRITTEN = 16 * 2 ** 20;
/** Bytes of neighbouring chunks read at once, and those that they unpack to: fewer requests. */
export const MAX_BATCH = 4 * 2 ** 20;
/** Bytes between two chunks that are read along rather than asked for apart. */
export const MAX_GAP = 65536;
/** Bytes of one attribute's value. */
export const MAX_ATTRIBUTE = 16 * 2 ** 20;
/** Strings of one attribute: layer names, weight names. */
export const MAX_STRINGS = 65536;
