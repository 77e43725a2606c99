import { loadHead, trainHead } from '../vgg/vgg.js';
import { lineChart } from './chart.js';
import { classCards } from './class-cards.js';
import { download, open, percent, showBars, showPicture } from './dom.js';
import { dropArea } from './drop.js';
import { fillSizes, fillTaps, sizeOf } from './taps.js';
import { run } from './task.js';
import { drawTexture, TEXTURES } from './textures.js';

/** Pictures a class that the page draws: enough to learn from, and a quarter of them to check with. */
const DRAWN = 12;

/** The third section: classes of pictures, a head trained on them, and its word on new pictures. */
export function classesSection(section) {
  const form = section.querySelector('form');
  const [task, tryTask] = section.querySelectorAll('.task');
  const act = (name) => section.querySelector(`[data-act=${name}]`);
  const cards = classCards(section.querySelector('.cards'));
  let model;
  let head;

  cards.add('first');
  cards.add('second');
  act('add').addEventListener('click', () => cards.add('').focus());
  act('textures').addEventListener('click', async () => {
    cards.removeEmpty();
    for (const kind of TEXTURES) cards.add(kind, await Promise.all(Array.from({ length: DRAWN }, () => drawTexture(kind))));
  });

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const { tap, pooling, size, solver } = form.elements;
    const options = { layer: tap.value, pooling: pooling.value, size: sizeOf(size), solver: solver.value, validation: 0.25, seed: 0 };
    const started = performance.now();
    const history = [];
    const onEpoch = (epoch) => {
      history.push(epoch);
      drawCharts(history);
    };
    const trained = await run(task, 'Training', (more) => trainHead(model, cards.dataset(), { ...options, ...more, onEpoch }));
    if (trained) use(trained, `in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  });
  act('save').addEventListener('click', async () => download(await head.toBytes(), 'head.safetensors'));
  act('load').addEventListener('change', async ({ target }) => {
    const [file] = target.files;
    target.value = '';
    const loaded = file && (await run(task, 'Loading the head', (options) => loadHead(file, model, options)));
    if (loaded) use(loaded, `from ${file.name}`);
  });

  const tryArea = section.querySelector('[data-drop=try]');
  dropArea(tryArea, ([file]) => predict(file));
  tryArea
    .querySelector('[data-act=draw]')
    .addEventListener('click', async () => predict(await drawTexture(TEXTURES[Math.floor(Math.random() * TEXTURES.length)])));

  function use(next, how) {
    head?.dispose();
    head = next;
    const { best, history, classes, warnings, layer } = head;
    const part = best.valAccuracy === undefined ? 'training' : 'validation';
    const lines = [
      `${percent(best.valAccuracy ?? best.accuracy)} of the ${part} pictures right, ${classes.length} classes (${classes.join(', ')}) on ${layer}, ${how}.`,
      ...warnings,
    ];
    section.querySelector('.summary').textContent = lines.join(' ');
    drawCharts(history);
    act('save').hidden = false;
    section.querySelector('.predict').hidden = false;
  }

  function drawCharts(history) {
    section.querySelector('.charts').replaceChildren(...(history.length > 0 ? charts(history) : []));
  }

  async function predict(picture) {
    const predictions = await run(tryTask, 'Naming', (options) => head.predict(picture, options));
    if (!predictions) return;
    const shown = section.querySelector('.prediction');
    showPicture(shown.querySelector('img'), picture);
    showBars(shown.querySelector('.bars'), predictions);
    shown.hidden = false;
  }

  return {
    setModel(loaded, reach) {
      model = loaded;
      head?.dispose();
      head = undefined;
      act('save').hidden = true;
      section.querySelector('.predict').hidden = true;
      section.querySelector('.summary').textContent = '';
      section.querySelector('.charts').replaceChildren();
      fillTaps(form.elements.tap, model, reach, model.deepest);
      fillSizes(form.elements.size, model, 128);
      open(section);
    },
  };
}

function charts(history) {
  const of = (key) => history.map((entry) => entry[key]);
  return [
    lineChart('Loss', [
      { name: 'training', className: 'training', values: of('loss') },
      { name: 'validation', className: 'validation', values: of('valLoss') },
    ]),
    lineChart(
      'Accuracy',
      [
        { name: 'training', className: 'training', values: of('accuracy') },
        { name: 'validation', className: 'validation', values: of('valAccuracy') },
      ],
      { top: 1 },
    ),
  ];
}
