/** Rows of features [count, dimensions], one after another. */
export interface Rows {
  readonly vectors: Float32Array;
  readonly count: number;
  readonly dimensions: number;
}

/** Rows with a class number each. */
export interface LabelledRows extends Rows {
  readonly labels: Int32Array;
}

/** Copies of some rows, in the order of `places`. */
export function pickRows(rows: LabelledRows, places: Int32Array): LabelledRows {
  const { dimensions } = rows;
  const vectors = new Float32Array(places.length * dimensions);
  const labels = new Int32Array(places.length);
  places.forEach((place, i) => {
    vectors.set(rows.vectors.subarray(place * dimensions, (place + 1) * dimensions), i * dimensions);
    labels[i] = rows.labels[place]!;
  });
  return { vectors, count: places.length, dimensions, labels };
}
