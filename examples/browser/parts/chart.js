import { element } from './dom.js';

const WIDTH = 320;
const HEIGHT = 150;
const LEFT = 44;
const BOTTOM = 22;

/** Lines over the epochs, as SVG: `series` is [{ name, className, values }], undefined values are left out. */
export function lineChart(title, series, { top } = {}) {
  const used = series.filter(({ values }) => values.some((value) => value !== undefined));
  const all = used.flatMap(({ values }) => values.filter((value) => value !== undefined));
  const high = top ?? (Math.max(...all, 0) || 1);
  const length = Math.max(...used.map(({ values }) => values.length));
  const x = (i) => LEFT + (length > 1 ? i / (length - 1) : 0.5) * (WIDTH - LEFT - 8);
  const y = (value) => 8 + (1 - value / high) * (HEIGHT - BOTTOM - 8);

  const chart = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': describe(title, used) });
  for (const value of [0, high / 2, high]) {
    chart.append(svg('line', { class: 'grid', x1: LEFT, x2: WIDTH - 8, y1: y(value), y2: y(value) }));
    chart.append(label(LEFT - 6, y(value) + 4, Number(value.toPrecision(2)), 'end'));
  }
  chart.append(
    label(LEFT, HEIGHT - 5, '1', 'start'),
    label(WIDTH - 8, HEIGHT - 5, length > 1 ? length : '', 'end'),
    label((LEFT + WIDTH) / 2, HEIGHT - 5, 'epoch', 'middle'),
  );
  for (const { className, values } of used) {
    const points = values.flatMap((value, i) => (value === undefined ? [] : [`${x(i)},${y(value)}`]));
    chart.append(
      points.length === 1
        ? svg('circle', { class: className, cx: points[0].split(',')[0], cy: points[0].split(',')[1], r: 3 })
        : svg('polyline', { class: className, points: points.join(' ') }),
    );
  }
  const legend = used.map(({ name, className }) => element('span', { className: `key ${className}` }, name));
  return element('figure', { className: 'chart' }, element('figcaption', {}, element('b', {}, title), ...legend), chart);
}

function describe(title, series) {
  return `${title}: ${series.map(({ name, values }) => `${name} ${values.findLast((value) => value !== undefined).toPrecision(3)}`).join(', ')} at the end`;
}

function label(x, y, text, anchor) {
  const made = svg('text', { x, y, 'text-anchor': anchor });
  made.textContent = text;
  return made;
}

function svg(tag, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
