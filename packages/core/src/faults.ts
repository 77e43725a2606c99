import { VggError } from '@vgg/errors';

/** Something that went wrong on a device where the call that caused it had already returned. */
export interface Fault {
  /** Out of memory, an invalid or failed operation, or the device is gone. */
  kind: 'memory' | 'error' | 'lost';
  message: string;
}

const KEPT = 64;

/** The faults of one device, read by each of its users once. */
export class Faults {
  #list: Fault[] = [];
  #count = 0;
  /** Set once and for ever when the device is gone. */
  lost: Fault | undefined;

  /** Reports are kept in order; a flood keeps its first few, which name the cause. */
  report = (fault: Fault): void => {
    if (fault.kind === 'lost') this.lost ??= fault;
    this.#count++;
    if (this.#list.length < KEPT) this.#list.push(fault);
    else this.#list[KEPT - 1] = fault;
  };

  /** A reader with a place of its own: it throws for the first fault since its last call. */
  reader(name: string): () => void {
    let read = this.#count;
    return () => {
      const lost = this.lost;
      if (lost)
        throw new VggError(
          'VGG_BACKEND',
          `${name}: the device was lost (${lost.message}) and its results with it; open the backend again, or use wasm`,
        );
      if (read === this.#count) return;
      const fault = this.#list[Math.min(read, KEPT - 1)];
      read = this.#count;
      if (fault.kind === 'memory') {
        throw new VggError(
          'VGG_MEMORY',
          `${name}: the device is out of memory (${fault.message}), so the results since the last check are void; use smaller batches or pictures`,
        );
      }
      throw new VggError(
        'VGG_BACKEND',
        `${name}: the device refused an operation (${fault.message}), so the results since the last check are void`,
      );
    };
  }
}
