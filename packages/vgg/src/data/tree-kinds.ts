/** The trees of files that a page is given, told apart by what they have. */

/** A `FileSystemEntry` (File and Directory Entries API), by what is used of it. */
export interface DroppedEntry {
  readonly name: string;
  readonly isFile: boolean;
  readonly isDirectory: boolean;
}
export interface DroppedFile extends DroppedEntry {
  file(found: (file: File) => void, failed: (error: unknown) => void): void;
}
export interface DroppedFolder extends DroppedEntry {
  createReader(): { readEntries(found: (entries: DroppedEntry[]) => void, failed: (error: unknown) => void): void };
}

/** A `FileSystemDirectoryHandle` (File System API), by what is used of it. */
export interface DirectoryHandle {
  readonly kind: 'directory';
  readonly name: string;
  values(): AsyncIterable<DirectoryHandle | FileHandle>;
}
export interface FileHandle {
  readonly kind: 'file';
  readonly name: string;
  getFile(): Promise<File>;
}

/** An item of a `DataTransferItemList`. */
export interface DroppedItem {
  readonly kind: string;
  webkitGetAsEntry(): DroppedEntry | null;
}

export const isDroppedItem = (value: unknown): value is DroppedItem =>
  typeof value === 'object' && value !== null && 'webkitGetAsEntry' in value && typeof value.webkitGetAsEntry === 'function';

export const isDroppedEntry = (value: unknown): value is DroppedEntry =>
  typeof value === 'object' && value !== null && 'isFile' in value && 'isDirectory' in value && 'name' in value;

export const isDirectoryHandle = (value: unknown): value is DirectoryHandle =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'directory' && 'values' in value;
