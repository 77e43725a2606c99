/**
 * A 64-bit digest of words, in two 32-bit lanes of the FNV-1a kind. It tells weights apart at a gigabyte a second;
 * it is no protection against somebody who wants a collision (published files are checked with SHA-256 or MD5).
 */
export class WordDigest {
  #a = 0x811c9dc5;
  #b = 0x9e3779b9;

  words(values: Uint32Array): this {
    let a = this.#a;
    let b = this.#b;
    for (let i = 0; i < values.length; i++) {
      const word = values[i];
      a = Math.imul(a ^ word, 0x01000193);
      a ^= a >>> 15;
      b = Math.imul((b << 5) ^ (b >>> 27) ^ word, 0x85ebca6b);
    }
    this.#a = a;
    this.#b = b;
    return this;
  }

  text(text: string): this {
    return this.words(Uint32Array.from(text, (character) => character.codePointAt(0)!));
  }

  /** Sixteen hexadecimal digits. */
  hex(): string {
    return [this.#a, this.#b].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('');
  }

  static of(values: Float32Array): string {
    return new WordDigest().words(new Uint32Array(values.buffer, values.byteOffset, values.length)).hex();
  }
}
