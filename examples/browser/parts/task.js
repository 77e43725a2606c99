import { element, megabytes } from './dom.js';

const BYTES = new Set(['download', 'verify', 'read']);
const running = new WeakMap();

/**
 * Runs a long call in a `.task` element: a bar that follows its progress, a button that cancels it, and its error as the one sentence
 * that it is. A task still running in the same place is cancelled. Answers undefined where the call failed or was cancelled.
 * `button` and `ended` are the words for calls that can be continued.
 */
export async function run(host, label, call, { button = 'Cancel', ended = 'cancelled' } = {}) {
  running.get(host)?.abort();
  const controller = new AbortController();
  running.set(host, controller);
  const bar = element('progress', { max: 1, ariaLabel: label });
  bar.removeAttribute('value');
  const text = element('span', {}, label);
  const cancel = element('button', { type: 'button', onclick: () => controller.abort() }, button);
  host.replaceChildren(element('div', { className: 'progress' }, text, bar, cancel));
  const current = () => running.get(host) === controller;
  try {
    const result = await call({ signal: controller.signal, onProgress: (progress) => follow(progress, bar, text, label) });
    if (!current()) return undefined;
    host.replaceChildren();
    return result;
  } catch (error) {
    if (current())
      host.replaceChildren(
        ...(error.code === 'VGG_ABORTED' ? [element('p', { className: 'note' }, `${label}: ${ended}.`)] : [sentence(error)]),
      );
    return undefined;
  } finally {
    if (current()) running.delete(host);
  }
}

function follow({ stage, loaded, total, item }, bar, text, label) {
  if (total) bar.value = loaded / total;
  else bar.removeAttribute('value');
  const count = BYTES.has(stage) ? megabytes : String;
  text.textContent = `${label}: ${stage}${item ? ` ${item}` : ''}, ${count(loaded)}${total ? ` of ${count(total)}` : ''}`;
}

/** The library's errors, and the page's own, are sentences for people; anything else is a fault that a developer wants to see. */
function sentence(error) {
  if (error.name !== 'VggError' && error.name !== 'Error') console.error(error);
  return element('p', { className: 'error', role: 'alert' }, error.message, error.code ? element('code', {}, error.code) : undefined);
}

/** Shows an error in a `.task` element. */
export function fail(host, error) {
  host.replaceChildren(sentence(error));
}
