// A VGG of three convolutions with made-up weights, the bytes of its weight file, and what it answers, computed in float64 from the definition.

/** As JSON in the weight file, so that `load(undefined, { weights })` needs nothing else. */
const PLAN = { name: 'small', blocks: [[4], [6, 6]], dense: [], classes: 3, size: 32 } as const;

const SIDE = 32;

/** The pixels of a picture, RGB bytes: no two regions alike, and no symmetry that could hide a wrong order. */
export function picture(side: number = SIDE): { width: number; height: number; channels: 3; data: Uint8Array } {
  const data = new Uint8Array(side * side * 3);
  for (let y = 0, i = 0; y < side; y++) {
    for (let x = 0; x < side; x++) for (let c = 0; c < 3; c++) data[i++] = (7 * y + 3 * x + 50 * c + ((x * y) % 11) * 5) % 256;
  }
  return { width: side, height: side, channels: 3, data };
}

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Filters [3, 3, in, out], dense [in, out], each with its bias; the same on every call. */
function weights(): Tensor[] {
  const rand = random(16);
  const make = (name: string, shape: number[]): Tensor[] => {
    const inputs = shape.slice(0, -1).reduce((product, side) => product * side, 1);
    const fill = (count: number, reach: number) => Float32Array.from({ length: count }, () => (rand() - 0.45) * reach);
    return [
      { name: `${name}.weight`, shape, values: fill(inputs * shape.at(-1)!, 2 / Math.sqrt(inputs)) },
      { name: `${name}.bias`, shape: [shape.at(-1)!], values: fill(shape.at(-1)!, 0.5) },
    ];
  };
  return [
    ...make('conv1_1', [3, 3, 3, 4]),
    ...make('conv2_1', [3, 3, 4, 6]),
    ...make('conv2_2', [3, 3, 6, 6]),
    ...make('fc6', [8 * 8 * 6, 3]),
  ];
}

/** The weight file: safetensors with the plan and the preprocessing as metadata. `without` leaves tensors out, as a broken download would. */
export function weightFile({ without = [] as readonly string[] } = {}): Uint8Array<ArrayBuffer> {
  const preprocessing = {
    name: 'small',
    resize: { mode: 'squash', size: SIDE, filter: 'bilinear' },
    channelOrder: 'rgb',
    scale: 1 / 255,
    mean: [0.5, 0.4, 0.3],
    std: [0.25, 0.25, 0.25],
  };
  const header: Record<string, unknown> = {
    __metadata__: { 'vgg.plan': JSON.stringify(PLAN), 'vgg.preprocessing': JSON.stringify(preprocessing) },
  };
  const kept = weights().filter(({ name }) => !without.includes(name));
  let at = 0;
  for (const { name, shape, values } of kept) {
    header[name] = { dtype: 'F32', shape, data_offsets: [at, at + values.byteLength] };
    at += values.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header).padEnd(Math.ceil(JSON.stringify(header).length / 8) * 8));
  const file = new Uint8Array(8 + text.length + at);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  at = 8 + text.length;
  for (const { values } of kept) {
    file.set(new Uint8Array(values.buffer), at);
    at += values.byteLength;
  }
  return file;
}

interface Volume {
  readonly side: number;
  readonly channels: number;
  readonly data: Float64Array;
}

/** What the network answers for {@link picture} at `relu2_2`, `pool2` and `prob`. */
export function reference(): Record<'relu2_2' | 'pool2' | 'prob', number[]> {
  const [w1, b1, w2, b2, w3, b3, w4, b4] = weights().map(({ values }) => values) as Float32Array[];
  const { data } = picture();
  const mean = [0.5, 0.4, 0.3];
  const input: Volume = { side: SIDE, channels: 3, data: Float64Array.from(data, (value, i) => (value / 255 - mean[i % 3]!) / 0.25) };
  const pool1 = pool(relu(conv(input, w1!, b1!)));
  const relu2 = relu(conv(relu(conv(pool1, w2!, b2!)), w3!, b3!));
  const pool2 = pool(relu2);
  const scores = Array.from(b4!, (bias, o) => pool2.data.reduce((sum, value, i) => sum + value * w4![i * 3 + o]!, bias));
  const powers = scores.map((score) => Math.exp(score - Math.max(...scores)));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return { relu2_2: [...relu2.data], pool2: [...pool2.data], prob: powers.map((power) => power / total) };
}

function conv({ side, channels, data }: Volume, filter: Float32Array, bias: Float32Array): Volume {
  const out = bias.length;
  const result = new Float64Array(side * side * out);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      for (let o = 0; o < out; o++) {
        let sum = bias[o]!;
        for (let ky = 0; ky < 3; ky++) {
          for (let kx = 0; kx < 3; kx++) {
            const [row, column] = [y + ky - 1, x + kx - 1];
            if (row < 0 || column < 0 || row >= side || column >= side) continue;
            for (let c = 0; c < channels; c++)
              sum += data[(row * side + column) * channels + c]! * filter[((ky * 3 + kx) * channels + c) * out + o]!;
          }
        }
        result[(y * side + x) * out + o] = sum;
      }
    }
  }
  return { side, channels: out, data: result };
}

const relu = (volume: Volume): Volume => ({ ...volume, data: volume.data.map((value) => Math.max(0, value)) });

function pool({ side, channels, data }: Volume): Volume {
  const half = side / 2;
  const at = (y: number, x: number, c: number) => data[(y * side + x) * channels + c]!;
  const result = new Float64Array(half * half * channels);
  for (let y = 0; y < half; y++) {
    for (let x = 0; x < half; x++) {
      for (let c = 0; c < channels; c++) {
        result[(y * half + x) * channels + c] = Math.max(
          at(2 * y, 2 * x, c),
          at(2 * y, 2 * x + 1, c),
          at(2 * y + 1, 2 * x, c),
          at(2 * y + 1, 2 * x + 1, c),
        );
      }
    }
  }
  return { side: half, channels, data: result };
}

/** The largest difference, as a part of the largest expected value. */
export function relativeError(received: ArrayLike<number>, expected: readonly number[]): number {
  if (received.length !== expected.length) return Number.POSITIVE_INFINITY;
  const scale = Math.max(...expected.map(Math.abs));
  return expected.reduce((worst, value, i) => Math.max(worst, Math.abs(received[i]! - value)), 0) / scale;
}

/** mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
