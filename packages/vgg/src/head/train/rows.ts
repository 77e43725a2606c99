/** Rows of features [count, dimensions], one after another. */
export interface Rows {
  readonly vectors: Float32Array;
  readonly count: number;
  readonly dimensions: number;
}

/** Rows with a class number each. */
export interface LabelledRows extends Rows {
  readonly labels: Int32Array;
  /** Of several labels, or a number, for each row: [count, width]. */
  readonly targets?: Float32Array;
}

/** Rows with targets. */
export type TargetRows = LabelledRows & { readonly targets: Float32Array };

/** Copies of some rows, in the order of `places`. */
export function pickRows(rows: LabelledRows, places: Int32Array): LabelledRows {
  const { dimensions } = rows;
  const vectors = new Float32Array(places.length * dimensions);
  const labels = new Int32Array(places.length);
  const width = rows.targets ? rows.targets.length / rows.count : 0;
  const targets = rows.targets && new Float32Array(places.length * width);
  places.forEach((place, i) => {
    vectors.set(rows.vectors.subarray(place * dimensions, (place + 1) * dimensions), i * dimensions);
    labels[i] = rows.labels[place]!;
    if (targets) targets.set(rows.targets!.subarray(place * width, (place + 1) * width), i * width);
  });
  return { vectors, count: places.length, dimensions, labels, ...(targets && { targets }) };
}
