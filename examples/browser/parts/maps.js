import { HEAT } from './colours.js';
import { element } from './dom.js';

/** What can be said of a feature map in numbers. */
export function statistics({ data }) {
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let zeros = 0;
  for (const value of data) {
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
    if (value === 0) zeros++;
    sum += value;
  }
  return { lowest, highest, mean: sum / data.length, zeros: zeros / data.length };
}

/** The channels whose values are largest on average, disregarding sign: `{ channel, strength }`, strongest first. */
export function strongest({ shape, data }, count) {
  const channels = shape.at(-1);
  const sums = new Float64Array(channels);
  for (let i = 0; i < data.length; i++) sums[i % channels] += Math.abs(data[i]);
  const cells = data.length / channels;
  return Array.from(sums, (sum, channel) => ({ channel, strength: sum / cells }))
    .sort((a, b) => b.strength - a.strength)
    .slice(0, count);
}

/** One figure a channel: its map in colours for [1, h, w, c], its value as a bar for [1, c]. */
export function drawChannels(host, map, { common, range }) {
  const chosen = strongest(map, 16);
  const flat = map.shape.length === 2;
  host.classList.toggle('flat', flat);
  host.replaceChildren(
    ...chosen.map(({ channel, strength }) =>
      flat ? bar(map, channel, strength, chosen[0].strength) : heatMap(map, channel, common ? range : undefined),
    ),
  );
}

function heatMap({ shape, data, layer }, channel, range) {
  const [, height, width, channels] = shape;
  const [low, high] = range ?? extent(data, channel, channels);
  const scale = high > low ? 255 / (high - low) : 0;
  const canvas = element('canvas', {
    width,
    height,
    role: 'img',
    ariaLabel: `${layer}, channel ${channel}, from ${short(low)} to ${short(high)}`,
  });
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  for (let cell = 0; cell < width * height; cell++) {
    const colour = Math.round((data[cell * channels + channel] - low) * scale) * 3;
    image.data[cell * 4] = HEAT[colour];
    image.data[cell * 4 + 1] = HEAT[colour + 1];
    image.data[cell * 4 + 2] = HEAT[colour + 2];
    image.data[cell * 4 + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  const [least, most] = extent(data, channel, channels);
  return element('figure', {}, canvas, element('figcaption', {}, element('b', {}, `#${channel}`), ` ${short(least)} to ${short(most)}`));
}

function bar({ data }, channel, strength, longest) {
  const meter = element('meter', { min: 0, max: longest || 1, value: strength, ariaLabel: `channel ${channel}` });
  return element(
    'figure',
    {},
    element('figcaption', {}, element('b', {}, `#${channel}`)),
    meter,
    element('span', {}, short(data[channel])),
  );
}

function extent(data, channel, channels) {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = channel; i < data.length; i += channels) {
    if (data[i] < low) low = data[i];
    if (data[i] > high) high = data[i];
  }
  return [low, high];
}

/** Three digits are enough to look at. */
export function short(value) {
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
