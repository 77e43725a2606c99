/** Whether a file that begins so, as Latin-1 text, is a tar archive: the mark of its first header (POSIX 1003.1, ustar). */
export const isTar = (head: string): boolean => head.slice(257, 262) === 'ustar';
