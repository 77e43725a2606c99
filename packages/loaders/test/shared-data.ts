import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Real files that are not part of the repository; their tests run in Node only, where they can be reached. */
export const DATA = fileURLToPath(new URL('../../../../shared/data/', import.meta.url));
export const HAS_DATA = existsSync(DATA);
