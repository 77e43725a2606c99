import { loadHead, trainHead } from '../vgg/vgg.js';
import { classCards } from './class-cards.js';
import { classFolders, describeData } from './class-folders.js';
import { showCurves } from './curves.js';
import { download, element, open, percent, showBars, showPicture } from './dom.js';
import { dropArea } from './drop.js';
import { fillSizes, fillTaps, sizeOf } from './taps.js';
import { run } from './task.js';
import { drawTexture, TEXTURES } from './textures.js';
import { canContinue, learningParts, trainNetwork, usualFields } from './train-network.js';

/** Pictures a class that the page draws: enough to learn from, and a quarter of them to check with. */
const DRAWN = 12;
const VALIDATION = { validation: 0.25, seed: 0 };

/** The third section: classes of pictures, a head or a network trained on them, and its word on new pictures. */
export function classesSection(section) {
  const form = section.querySelector('form');
  const task = (name) => section.querySelector(`[data-task=${name}]`);
  const act = (name) => section.querySelector(`[data-act=${name}]`);
  const cards = classCards(section.querySelector('.cards'));
  let model;
  let start;
  /** Class folders, where they were given in the place of cards. */
  let given;
  /** What was trained: a head of the library, or a network that answers like one. */
  let trained;
  let file;
  let usual = usualFields('all');

  cards.add('first');
  cards.add('second');
  act('add').addEventListener('click', () => cards.add('').focus());
  act('textures').addEventListener('click', async () => {
    // All at once: training could begin with the first of them.
    const drawn = await Promise.all(TEXTURES.map((kind) => Promise.all(Array.from({ length: DRAWN }, () => drawTexture(kind)))));
    cards.removeEmpty();
    TEXTURES.forEach((kind, i) => {
      cards.add(kind, drawn[i]);
    });
  });
  classFolders(section.querySelector('[data-drop=folders]'), task('open'), (data) => give(data));
  act('forget').addEventListener('click', () => give(undefined));

  form.elements.learns.addEventListener('change', () => {
    const next = usualFields(form.elements.learns.value);
    // What somebody chose stays.
    for (const [name, value] of Object.entries(next)) {
      if (form.elements[name].valueAsNumber === usual[name]) form.elements[name].value = value;
    }
    usual = next;
    showFields();
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (form.elements.learns.value === 'head') trainTheHead();
    else trainTheNetwork(false);
  });
  act('continue').addEventListener('click', () => form.reportValidity() && trainTheNetwork(true));
  act('save').addEventListener('click', async () => download(await trained.toBytes(), file));
  act('load').addEventListener('change', async ({ target }) => {
    const [file] = target.files;
    target.value = '';
    const loaded = file && (await run(task('train'), 'Loading the head', (options) => loadHead(file, model, options)));
    if (loaded) use(loaded, 'head', `from ${file.name}`);
  });

  const tryArea = section.querySelector('[data-drop=try]');
  dropArea(tryArea, ([file]) => predict(file));
  tryArea
    .querySelector('[data-act=draw]')
    .addEventListener('click', async () => predict(await drawTexture(TEXTURES[Math.floor(Math.random() * TEXTURES.length)])));

  function give(data) {
    given = data;
    section.querySelector('.given').hidden = !data;
    section.querySelector('.given > span').textContent = data ? describeData(data) : '';
    for (const part of section.querySelectorAll('.cards, [data-with=cards]')) part.hidden = Boolean(data);
  }

  /** A head and a network have options of their own. */
  function showFields() {
    const kind = form.elements.learns.value === 'head' ? 'head' : 'network';
    for (const part of section.querySelectorAll('[data-learns]')) part.hidden = part.dataset.learns !== kind;
    showContinue();
  }

  async function showContinue() {
    const could = form.elements.learns.value !== 'head' && (await canContinue().catch(() => false));
    act('continue').hidden = !could;
  }

  async function trainTheHead() {
    const { tap, pooling, size, solver } = form.elements;
    const options = { layer: tap.value, pooling: pooling.value, size: sizeOf(size), solver: solver.value, ...VALIDATION };
    const started = performance.now();
    const made = await run(task('train'), 'Training', (more) =>
      trainHead(model, given ?? cards.dataset(), { ...options, ...more, onEpoch: follow() }),
    );
    if (made) use(made, 'head', `in ${seconds(started)}`);
  }

  async function trainTheNetwork(resume) {
    const { learns, size, epochs, batch, rate, vary } = form.elements;
    const options = {
      learns: learns.value,
      size: sizeOf(size),
      epochs: epochs.valueAsNumber,
      batch: batch.valueAsNumber,
      rate: rate.valueAsNumber,
      ...(vary.checked && { augment: 'cifar' }),
      ...VALIDATION,
      resume,
    };
    const started = performance.now();
    act('continue').hidden = true;
    const made = await run(
      task('train'),
      'Training',
      (more) => trainNetwork(start, given ?? cards.dataset(), { ...options, ...more, onEpoch: follow() }),
      { button: 'Stop', ended: 'stopped; what was learnt is kept' },
    );
    if (made) use(made, 'network', `in ${seconds(started)}`);
    showContinue();
  }

  /** The curves, drawn anew after each epoch. */
  function follow() {
    const history = [];
    return (epoch) => {
      history.push(epoch);
      showCurves(section.querySelector('.charts'), history);
    };
  }

  function use(next, kind, how) {
    forget();
    const { best, history, classes, warnings, layer } = next;
    trained = next;
    file = `${kind}.safetensors`;
    const part = best.valAccuracy === undefined ? 'training' : 'validation';
    const lines = [
      `${percent(best.valAccuracy ?? best.accuracy)} of the ${part} pictures right, ${classes.length} classes (${classes.join(', ')}) on ${layer}, ${how}.`,
      ...warnings,
    ];
    section.querySelector('.summary').textContent = lines.join(' ');
    showCurves(section.querySelector('.charts'), history, best.epoch);
    act('save').textContent = `Download the ${kind}`;
    act('save').hidden = false;
    section.querySelector('.predict').hidden = false;
  }

  function forget() {
    trained?.dispose();
    trained = undefined;
    act('save').hidden = true;
    section.querySelector('.predict').hidden = true;
    section.querySelector('.prediction').hidden = true;
    section.querySelector('.summary').textContent = '';
    section.querySelector('.charts').replaceChildren();
  }

  async function predict(picture) {
    const predictions = await run(task('try'), 'Naming', (options) => trained.predict(picture, options));
    if (!predictions) return;
    const shown = section.querySelector('.prediction');
    showPicture(shown.querySelector('img'), picture);
    showBars(shown.querySelector('.bars'), predictions);
    shown.hidden = false;
  }

  return {
    setModel(loaded, reach, from) {
      model = loaded;
      start = { ...from, network: loaded.network };
      forget();
      const kept = form.elements.learns.value;
      const parts = learningParts(model);
      form.elements.learns.replaceChildren(...parts.map(({ value, text }) => element('option', { value }, text)));
      if (parts.some(({ value }) => value === kept)) form.elements.learns.value = kept;
      fillTaps(form.elements.tap, model, reach, model.deepest);
      fillSizes(form.elements.size, model, 128);
      showFields();
      open(section);
    },
  };
}

const seconds = (started) => `${((performance.now() - started) / 1000).toFixed(1)} s`;
