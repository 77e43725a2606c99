import { load, PREPROCESSINGS, PUBLISHED_SETS } from '../vgg/vgg.js';
import { element, megabytes, open } from './dom.js';
import { dropArea } from './drop.js';
import { fail, run } from './task.js';

/** So many chosen files are named. */
const SHOWN = 4;

/** The first section: where weights come from, loading them, and what was loaded. Hands each new model to `onModel`, with how far its weights reach and what it was loaded from. */
export function weightsSection(section, { served, onModel }) {
  const form = section.querySelector('form');
  const task = section.querySelector('.task');
  const facts = section.querySelector('.facts');
  let files = [];
  let model;

  listPublished(form, section.querySelector('#published-note'));
  form.elements.preprocessing.append(...Object.keys(PREPROCESSINGS).map((name) => element('option', { value: name }, `as for ${name}`)));
  if (served) {
    const radio = form.querySelector('[value=served]');
    radio.closest('label').hidden = false;
    radio.checked = true;
    section.querySelector('#served-name').textContent = decodeURIComponent(served.split('/').at(-1));
  }
  const showTab = () => {
    for (const part of form.querySelectorAll('div[data-from]')) part.hidden = part.dataset.from !== form.elements.from.value;
  };
  for (const radio of form.elements.from) radio.addEventListener('change', showTab);
  showTab();

  dropArea(section.querySelector('[data-drop=weights]'), (chosen) => {
    files = chosen;
    const bytes = files.reduce((sum, file) => sum + file.size, 0);
    const names = files.length <= SHOWN ? files.map(({ name }) => name).join(', ') : `${files.length} files`;
    section.querySelector('#weight-files').textContent = `${names}: ${megabytes(bytes)}`;
  });

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const { from, published, address, backend, preprocessing, network } = form.elements;
    const sources = {
      served: () => new URL(served, location.href),
      published: () => published.value,
      address: () => address.value,
      files: () => files,
    };
    const weights = sources[from.value]();
    if (weights.length === 0)
      return fail(task, new Error(from.value === 'files' ? 'Choose a weight file first, or drop one.' : 'Give an address first.'));
    const arch = network.value.trim() || undefined;
    const loaded = await run(task, 'Loading', (options) =>
      load(arch, {
        weights,
        backend: backend.value,
        preprocessing: preprocessing.value || undefined,
        // The page stays free while the engine works.
        worker: true,
        ...options,
      }),
    );
    if (!loaded) return;
    model?.dispose();
    model = loaded;
    const reach = reachOf(model);
    showFacts(facts, model, reach);
    onModel(model, reach, { arch, weights, backend: backend.value, preprocessing: preprocessing.value || undefined });
  });

  // Not before: a choice made earlier would be lost.
  open(section);
}

/** How far a model's weights reach (a file may lack its later parts): the layers before the first that lacks a tensor, and that tensor. */
function reachOf(model) {
  const names = model.network.layers.map(({ name }) => name);
  const [missing] = model.missing(names.at(-1));
  const hole = missing === undefined ? names.length : names.indexOf(missing.split('.')[0]);
  return { layers: new Set(names.slice(0, hole)), missing };
}

/** What a page has, and may fetch: from hosts that let other origins in. */
const FETCHABLE = PUBLISHED_SETS.filter(({ cors }) => cors);

function listPublished(form, note) {
  const select = form.elements.published;
  select.append(...FETCHABLE.map(({ id, bytes, about }) => element('option', { value: id }, `${id} (${megabytes(bytes ?? about)})`)));
  const describe = () => {
    const { source, licence, urls, embedded } = FETCHABLE.find(({ id }) => id === select.value);
    note.textContent = embedded
      ? `A small network that comes with the package: it looks at pictures of 32 × 32 pixels and knows ten kinds of things. Licence ${licence}.`
      : `${source}, from ${new URL(urls[0]).host}; licence ${licence}. Only the layers that are looked at are fetched.`;
  };
  select.addEventListener('change', describe);
  describe();
}

/** The first of many names. */
const listed = (names) => `${names.slice(0, SHOWN).join(', ')}${names.length > SHOWN ? ` and ${names.length - SHOWN} more` : ''}`;

function showFacts(list, model, reach) {
  const { backend, network, weights, preprocessing } = model;
  const threads = backend.threads > 1 ? `, ${backend.threads} threads` : '';
  const elsewhere = model.placement().filter((place) => place.backend !== backend.name);
  const rows = {
    Network: `${network.name}${network.top ? '' : ', without its dense layers'}`,
    Weights: `${weights.name} (${weights.format})${weights.licence ? `, ${weights.licence}` : ''}`,
    ...(weights.unknown.length > 0 ? { 'Not used': listed(weights.unknown) } : {}),
    Reach: reach.missing ? `up to ${[...reach.layers].at(-1)}; ${reach.missing} is not in the file` : 'complete',
    Preprocessing: preprocessing.name,
    Backend: `${backend.name}${threads}: ${backend.reason}`,
    ...(elsewhere.length > 0
      ? { Elsewhere: elsewhere.map(({ layer, backend, reason }) => `${layer} on ${backend} (${reason})`).join('; ') }
      : {}),
  };
  list.replaceChildren(...Object.entries(rows).flatMap(([name, text]) => [element('dt', {}, name), element('dd', {}, text)]));
  list.hidden = false;
}
