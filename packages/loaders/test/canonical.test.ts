import { describe, expect, test } from 'vitest';
import {
  bytesSource,
  canonicalise,
  canonicalTensors,
  describeShapes,
  type NamedValues,
  openWeights,
  readCanonical,
  type WeightFile,
  type WeightSpec,
  writeSafetensors,
} from '../src/index.js';
import { open, ramp, refuses } from './helpers.js';
import { table, VGG16 } from './vgg.js';

const SMALL = [
  [2, 3],
  [4, 5],
] as const;
const DENSE = { side: 2, dense: [6, 6, 7] };

/** A safetensors file of these shapes, each filled with 0, 1, 2 ... so that a value tells its place. */
async function file(shapes: Record<string, readonly number[]>): Promise<WeightFile> {
  const tensors: NamedValues[] = Object.entries(shapes).map(([name, shape]) => ({
    name,
    shape,
    values: async () => Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
  }));
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeSafetensors(tensors)) chunks.push(chunk.slice());
  return openWeights(bytesSource(await new Blob(chunks as BlobPart[]).arrayBuffer(), 'test.safetensors'));
}

/** torchvision's names and shapes of a layer table whose blocks end in a pool. */
function torchShapes(specs: readonly WeightSpec[], prefix = ''): Record<string, readonly number[]> {
  const shapes: Record<string, readonly number[]> = {};
  let index = 0;
  let classifier = 0;
  let block = '1';
  for (const { name, kind, shape } of specs) {
    if (kind === 'conv') {
      const own = name[4]!;
      if (own !== block) index++;
      block = own;
      const [kh, kw, channels, out] = shape as [number, number, number, number];
      shapes[`${prefix}features.${index}.weight`] = [out, channels, kh, kw];
      shapes[`${prefix}features.${index}.bias`] = [out];
      index += specs.some((spec) => spec.kind === 'batchnorm') ? 1 : 2;
    } else if (kind === 'batchnorm') {
      for (const part of ['weight', 'bias', 'running_mean', 'running_var']) shapes[`${prefix}features.${index}.${part}`] = shape;
      shapes[`${prefix}features.${index}.num_batches_tracked`] = [];
      index += 2;
    } else {
      shapes[`${prefix}classifier.${classifier}.weight`] = [shape[1]!, shape[0]!];
      shapes[`${prefix}classifier.${classifier}.bias`] = [shape[1]!];
      classifier += 3;
    }
  }
  return shapes;
}

describe('Keras names', () => {
  test('a published file, top included: everything found, values as stored', async () => {
    const specs = table(
      [
        [2, 2],
        [3, 3],
        [4, 4, 4],
        [5, 5, 5],
        [6, 6, 6],
      ],
      { side: 2, dense: [8, 8, 10] },
    );
    const opened = await open('keras/keras-published.h5');
    const mapping = canonicalise(opened, specs);
    expect(mapping).toMatchObject({ naming: 'keras', missing: [], unknown: [], ignored: [] });
    expect([...mapping.tensors.keys()]).toEqual(specs.flatMap((spec) => canonicalTensors(spec).map(({ name }) => name)));
    expect([...(await readCanonical(opened, mapping, 'conv5_3.weight'))]).toEqual(ramp(9 * 6 * 6));
    expect([...(await readCanonical(opened, mapping, 'fc8.bias'))]).toEqual(ramp(10));
    expect(mapping.tensors.get('fc6.weight')).toMatchObject({ tensor: 'fc1/kernel', shape: [24, 8] });
    expect(opened.tensors.get('fc1/kernel')!.storedAs).toBe('fc1/fc1_W_1:0');
  });

  test('a table without the dense layers leaves these unknown, a table with more layers reports them missing', async () => {
    const opened = await open('keras/keras-published.h5');
    const widths = [
      [2, 2],
      [3, 3],
      [4, 4, 4],
      [5, 5, 5],
      [6, 6, 6],
    ];
    expect(canonicalise(opened, table(widths)).unknown).toEqual(
      ['fc1', 'fc2', 'predictions'].flatMap((name) => [`${name}/kernel`, `${name}/bias`]),
    );
    const more = canonicalise(opened, table([...widths.slice(0, 4), [6, 6, 6, 6]]));
    expect(more.missing).toEqual(['conv5_4.weight', 'conv5_4.bias']);
    await refuses(readCanonical(opened, more, 'conv5_4.weight'), 'VGG_WEIGHTS_MISSING', /conv5_4.weight/);
  });

  test('generic names go by order, with batch normalisation', async () => {
    const opened = await open('keras/keras3-unnamed.weights.h5');
    const widths = Array.from({ length: 12 }, (_, k) => 2 + k);
    const specs = table([widths], { dense: [4], side: 1 }).flatMap((spec): WeightSpec[] =>
      spec.name === 'conv1_1' || spec.name === 'conv1_2'
        ? [spec, { name: spec.name.replace('conv', 'bn'), kind: 'batchnorm', shape: [spec.shape[3]!] }]
        : [spec],
    );
    const mapping = canonicalise(opened, specs);
    expect(mapping).toMatchObject({ missing: [], unknown: [] });
    expect(mapping.tensors.get('conv1_11.weight')!.tensor).toBe('conv2d_10/kernel');
    expect(mapping.tensors.get('bn1_2.variance')!.tensor).toBe('batch_normalization_1/moving_variance');
    expect(mapping.tensors.get('fc6.weight')!.tensor).toBe('dense/kernel');
  });

  test('another width is a shape error that names both', async () => {
    await refuses(
      async () => canonicalise(await open('keras/keras-published.h5'), table([[2, 4]])),
      'VGG_SHAPE',
      /conv1_2.weight: expected shape \[3,3,2,4\].*received \[3,3,2,2\]/,
    );
  });

  test("Theano's filters are refused: they are mirrored as well", async () => {
    const theano = await file({ 'block1_conv1/kernel': [2, 3, 3, 3], 'block1_conv1/bias': [2] });
    await refuses(() => canonicalise(theano, table([[2]])), 'VGG_FORMAT', /channels-first/);
  });
});

describe('torchvision names', () => {
  test.each([false, true])('indices follow from the blocks, batch normalisation %s', async (batchNorm) => {
    const specs = table(
      VGG16.slice(0, 3).map((block) => block.map((width) => width / 32)),
      { batchNorm, ...DENSE },
    );
    const opened = await file(torchShapes(specs));
    const mapping = canonicalise(opened, specs);
    expect(mapping).toMatchObject({ naming: 'torch', missing: [], unknown: [] });
    expect(mapping.tensors.get('conv3_1.weight')!.tensor).toBe(batchNorm ? 'features.14.weight' : 'features.10.weight');
    expect(mapping.ignored.length).toBe(batchNorm ? 7 : 0);
    if (batchNorm) expect(mapping.tensors.get('bn1_2.mean')!.tensor).toBe('features.4.running_mean');
  });

  test('filters OIHW to HWIO, dense [out, in] to [in, out], fc6 from C,H,W rows to H,W,C', async () => {
    const specs = table(SMALL, DENSE);
    const opened = await file(torchShapes(specs));
    const mapping = canonicalise(opened, specs);
    const filters = await readCanonical(opened, mapping, 'conv2_1.weight'); // [3, 3, 3, 4] of [4, 3, 3, 3]
    for (let at = 0; at < filters.length; at++) {
      const [o, i, x, y] = [at % 4, Math.floor(at / 4) % 3, Math.floor(at / 12) % 3, Math.floor(at / 36)];
      expect(filters[at]).toBe(((o * 3 + i) * 3 + y) * 3 + x);
    }
    const fc6 = await readCanonical(opened, mapping, 'fc6.weight'); // [2*2*5, 6] of [6, 5*2*2]
    for (let row = 0; row < 20; row++) {
      const [c, x, y] = [row % 5, Math.floor(row / 5) % 2, Math.floor(row / 10)];
      for (let o = 0; o < 6; o++) expect(fc6[row * 6 + o]).toBe(o * 20 + (c * 2 + y) * 2 + x);
    }
    const fc7 = await readCanonical(opened, mapping, 'fc7.weight'); // square: only the naming can tell
    for (let i = 0; i < 6; i++) for (let o = 0; o < 6; o++) expect(fc7[i * 6 + o]).toBe(o * 6 + i);
  });

  test("timm's head, whose first layer is a convolution; a wrapper's prefix", async () => {
    const specs = table(SMALL, DENSE);
    const shapes = torchShapes(specs, 'module.');
    const timm: Record<string, readonly number[]> = {};
    const names = [
      ['classifier.0.', 'pre_logits.fc1.'],
      ['classifier.3.', 'pre_logits.fc2.'],
      ['classifier.6.', 'head.fc.'],
    ] as const;
    for (const [name, shape] of Object.entries(shapes)) {
      const renamed = names.reduce((text, [from, to]) => text.replace(from, to), name);
      timm[renamed] = /fc1.weight/.test(renamed) ? [6, 5, 2, 2] : /fc2.weight/.test(renamed) ? [6, 6, 1, 1] : shape;
    }
    const [plain, wrapped] = [await file(torchShapes(specs)), await file(timm)];
    const [a, b] = [canonicalise(plain, specs), canonicalise(wrapped, specs)];
    expect(b).toMatchObject({ missing: [], unknown: [] });
    for (const name of ['fc6.weight', 'fc7.weight', 'fc8.weight', 'conv1_2.weight']) {
      expect(await readCanonical(wrapped, b, name)).toEqual(await readCanonical(plain, a, name));
    }
    expect(describeShapes(wrapped)).toMatchObject({
      dense: [
        { in: 20, out: 6 },
        { in: 6, out: 6 },
        { in: 6, out: 7 },
      ],
    });
  });

  test('a hole in the file is a missing layer, not a shift of the later ones', async () => {
    const specs = table([[2, 2, 2]]);
    const shapes = torchShapes(specs);
    delete shapes['features.2.weight'];
    delete shapes['features.2.bias'];
    const mapping = canonicalise(await file(shapes), specs);
    expect(mapping.missing).toEqual(['conv1_2.weight', 'conv1_2.bias']);
    expect(mapping.tensors.get('conv1_3.weight')!.tensor).toBe('features.4.weight');
  });
});

describe('our own names', () => {
  test('HWIO as we write them, and OIHW as the Caffe line of PyTorch ports does', async () => {
    const specs = table(SMALL, DENSE);
    const own = await file(Object.fromEntries(specs.flatMap(canonicalTensors).map(({ name, shape }) => [name, shape])));
    const mapping = canonicalise(own, specs);
    expect(mapping).toMatchObject({ naming: 'canonical', missing: [], unknown: [] });
    expect((await readCanonical(own, mapping, 'fc7.weight'))[1]).toBe(1);
    const ports = await file({ 'conv1_1.weight': [2, 3, 3, 3], 'conv1_1.bias': [2] });
    const values = await readCanonical(ports, canonicalise(ports, table([[2]])), 'conv1_1.weight');
    expect([...values.slice(0, 4)]).toEqual([0, 27, 9, 36]);
  });

  test('names that are no VGG are refused with what they are', async () => {
    await refuses(async () => canonicalise(await file({ l1_weight: [2, 2] }), table(SMALL)), 'VGG_FORMAT', /received l1_weight/);
  });

  test('"__proto__" is a name like any other', async () => {
    const opened = await file(
      Object.fromEntries([
        ['conv1_1.weight', [3, 3, 3, 2]],
        ['conv1_1.bias', [2]],
      ]),
    );
    expect(canonicalise(opened, [{ name: '__proto__', kind: 'conv', shape: [3, 3, 3, 2] }]).missing).toEqual([
      '__proto__.weight',
      '__proto__.bias',
    ]);
    expect(({} as { weight?: unknown }).weight).toBeUndefined();
  });
});

test.each(['keras/keras3.weights.h5', 'keras/keras3-full.h5', 'keras/keras3-nested.weights.h5', 'keras/keras3-nested-full.h5'])(
  '%s, written by Keras 3, tells its shapes',
  async (name) => {
    const shapes = describeShapes(await open(name));
    expect(shapes.convs).toMatchObject([
      { name: 'block1_conv1', kernel: [3, 3], in: 3, out: 4, bias: true },
      { name: 'block1_conv2', in: 4, out: 4 },
      { name: 'block2_conv1', in: 4, out: 6 },
      { name: 'block2_conv2', in: 6, out: 6 },
    ]);
    const own = shapes.dense.filter((layer) => layer.name !== 'head');
    expect(own).toEqual([
      { name: 'fc1', in: 96, out: 8, bias: true },
      { name: 'fc2', in: 8, out: 8, bias: true },
      { name: 'predictions', in: 8, out: 5, bias: true },
    ]);
  },
);
