import { element } from './dom.js';
import { dropArea } from './drop.js';
import { thumbnails } from './thumbnails.js';

/** A card for each class: its name and its pictures. */
export function classCards(host) {
  const cards = [];

  function add(name, pictures = []) {
    const title = element('input', { value: name, placeholder: 'name', ariaLabel: 'Name of the class', spellcheck: false });
    const count = element('span', { className: 'count', ariaLive: 'polite' });
    const row = element('div', { className: 'pictures small' });
    const shown = thumbnails(row, {
      onChange: () => {
        count.textContent = shown.pictures.length === 1 ? '1 picture' : `${shown.pictures.length} pictures`;
      },
    });
    const input = element('input', { type: 'file', className: 'unseen', accept: 'image/*', multiple: true });
    const remove = element('button', { type: 'button', className: 'remove', ariaLabel: 'Remove the class' }, '×');
    const node = element(
      'div',
      { className: 'card drop' },
      element('div', { className: 'head' }, title, count, remove),
      row,
      element('label', { className: 'button' }, 'Add pictures', input),
    );
    const card = { node, title, shown };
    remove.addEventListener('click', () => drop(card));
    dropArea(node, (files) => shown.add(files));
    cards.push(card);
    host.append(node);
    shown.add(pictures);
    return title;
  }

  function drop(card) {
    cards.splice(cards.indexOf(card), 1);
    card.shown.clear();
    card.node.remove();
  }

  return {
    add,
    removeEmpty() {
      for (const card of cards.filter(({ shown }) => shown.pictures.length === 0)) drop(card);
    },
    /** What `trainHead` takes: pictures by class name. */
    dataset() {
      const names = cards.map(({ title }) => title.value.trim());
      if (names.includes('')) throw new Error('Give every class a name.');
      const twice = names.find((name, i) => names.indexOf(name) < i);
      if (twice !== undefined) throw new Error(`Two classes are called ${twice}; rename one of them.`);
      return Object.fromEntries(cards.map(({ shown }, i) => [names[i], shown.pictures]));
    },
  };
}
