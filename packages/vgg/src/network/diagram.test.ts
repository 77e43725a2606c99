import { describe, expect, test } from 'vitest';
import { elements } from '../../test/well-formed.js';
import { network } from './architecture.js';
import { networkDiagram } from './diagram.js';
import { summarize } from './summary.js';

const drawn = (svg: string) =>
  elements(svg)
    .filter(({ name, attributes }) => name === 'rect' && attributes.class !== 'input')
    .map(({ attributes }) => ({ kind: attributes.class, ...sizes(attributes) }));
const sizes = ({ x, y, width, height }: Record<string, string>) => ({
  x: Number(x),
  y: Number(y),
  width: Number(width),
  height: Number(height),
});

describe('networkDiagram', () => {
  test('as it was', () => {
    const plan = { blocks: [[4], [8, 8]], batchNorm: true, dense: [6], classes: 3, size: 16 };
    expect(networkDiagram(summarize(network(plan))).replace(/<style>.*<\/style>/, '')).toMatchSnapshot();
  });

  test('VGG-16: 13 convolutions, 5 pools and 3 dense layers, side by side', () => {
    const svg = networkDiagram(summarize(network('vgg16')));
    const boxes = drawn(svg);
    const count = (kind: string) => boxes.filter((box) => box.kind === kind).length;
    expect([count('conv'), count('pool'), count('dense'), boxes.length]).toEqual([13, 5, 3, 21]);
    boxes.slice(1).forEach((box, i) => {
      expect(box.x).toBeGreaterThan(boxes[i]!.x + boxes[i]!.width);
    });
    const [svgWidth] = [Number(elements(svg)[0]!.attributes.width)];
    expect(boxes.at(-1)!.x + boxes.at(-1)!.width).toBeLessThan(svgWidth);
    expect(svg).toContain('138,357,544 parameters (89.4 % in the dense layers)');
    expect(svg).toContain('conv3_1 (conv): 56x56x256, 295,168 parameters, 924.8 million MACs, sees 24 pixels');
    expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|href|url\(/);
  });

  test('heights go by the root of the map, and all boxes have one middle', () => {
    const boxes = drawn(networkDiagram(summarize(network('vgg16'))));
    expect(boxes[0]!.height / boxes[3]!.height).toBeCloseTo(Math.SQRT2, 2);
    for (const { y, height } of boxes) expect(y + height / 2).toBeCloseTo(boxes[0]!.y + boxes[0]!.height / 2, 1);
    expect(boxes.at(-1)!.height).toBeGreaterThan(4);
  });

  test('titles of sizes do not overlap, and names are escaped', () => {
    const summary = summarize(network({ blocks: [[2], [3], [4], [5]], dense: [], classes: 2, size: 224 }));
    const svg = networkDiagram({ ...summary, name: '<a> & "b"' });
    const titles = [...svg.matchAll(/class="size" x="([\d.]+)" y="\d+">([^<]+)</g)].map(([, x, text]) => [Number(x), text!] as const);
    expect(titles.map(([, text]) => text)).toEqual(['224x224x2', '112x112x3', '56x56x4', '28x28x5', '2']);
    titles.slice(1).forEach(([x], i) => {
      expect(x).toBeGreaterThan(titles[i]![0] + 6 * titles[i]![1].length);
    });
    expect(svg).toContain('&lt;a&gt; &amp; &quot;b&quot;');
    expect(elements(svg)[0]!.name).toBe('svg');
  });
});
