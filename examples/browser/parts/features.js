import { summarize, toNpy } from '../vgg/vgg.js';
import { download, open, percent, showBars, showPicture } from './dom.js';
import { dropArea } from './drop.js';
import { drawChannels, short, statistics } from './maps.js';
import { fillSizes, fillTaps, firstLook, sizeOf } from './taps.js';
import { run } from './task.js';
import { drawTexture, TEXTURES } from './textures.js';
import { thumbnails } from './thumbnails.js';

/** The second section: pictures, a layer, and its strongest channels. */
export function featuresSection(section) {
  const form = section.querySelector('form');
  const task = section.querySelector('.task');
  const result = section.querySelector('.result');
  const bars = section.querySelector('ol.bars');
  const act = (name) => section.querySelector(`[data-act=${name}]`);
  let model;
  let shown;
  let turn = 0;

  const pictures = thumbnails(section.querySelector('.pictures'), { onSelect: look });
  dropArea(section.querySelector('[data-drop=pictures]'), (files) => pictures.add(files));
  act('draw').addEventListener('click', async () =>
    pictures.add([await drawTexture(TEXTURES[pictures.pictures.length % TEXTURES.length])]),
  );
  form.addEventListener('submit', (event) => event.preventDefault());
  form.elements.tap.addEventListener('change', look);
  form.elements.size.addEventListener('change', look);
  form.elements.common.addEventListener('change', () => shown && draw());
  act('npy').addEventListener('click', () => download(toNpy(shown.map), `${shown.name}.${shown.map.layer}.npy`));
  act('classify').addEventListener('click', async () => {
    const predictions = await run(task, 'Naming', (options) => model.classify(pictures.chosen, { top: 5, ...options }));
    if (predictions)
      showBars(
        bars,
        predictions.map(({ label, wnid, index, probability }) => ({ label: label ?? wnid ?? `class ${index}`, probability })),
      );
  });

  async function look() {
    const picture = pictures.chosen;
    const mine = ++turn;
    bars.hidden = true;
    result.hidden = !picture || !model;
    if (result.hidden) return;
    const started = performance.now();
    const size = sizeOf(form.elements.size);
    const map = await run(task, `Looking through ${form.elements.tap.value}`, (options) =>
      model.extract(picture, form.elements.tap.value, { size, ...options }),
    );
    // A later choice has cancelled this one.
    if (mine !== turn) return;
    result.hidden = !map;
    if (!map) return;
    shown = { map, name: picture.name.replace(/\.[^.]*$/, ''), milliseconds: performance.now() - started };
    showPicture(section.querySelector('.look > img'), picture);
    draw();
  }

  function draw() {
    const { map, milliseconds } = shown;
    const { lowest, highest, mean, zeros } = statistics(map);
    const { receptiveField, stride } = summarize(model.network).rows.find(({ name }) => name === map.layer);
    const sees = map.shape.length === 4 ? `Each cell sees ${receptiveField} × ${receptiveField} pixels, ${stride} apart. ` : '';
    section.querySelector('.summary').textContent =
      `${map.layer}: shape ${map.shape.join(' × ')}. ${sees}Values from ${short(lowest)} to ${short(highest)}, mean ${short(mean)}, ${percent(zeros)} zeros. ` +
      `${Math.round(milliseconds)} ms. ${map.shape.at(-1) > 1 ? `The ${Math.min(16, map.shape.at(-1))} strongest channels` : 'Its one channel'}:`;
    drawChannels(section.querySelector('.maps'), map, { common: form.elements.common.checked, range: [lowest, highest] });
  }

  return {
    setModel(loaded, reach) {
      model = loaded;
      fillTaps(form.elements.tap, model, reach, firstLook(model));
      fillSizes(form.elements.size, model);
      act('classify').textContent = model.network.classes === 1000 ? 'What is it? (ImageNet)' : 'What is it?';
      act('classify').hidden = !model.network.top || reach.missing !== undefined;
      open(section);
      look();
    },
  };
}
