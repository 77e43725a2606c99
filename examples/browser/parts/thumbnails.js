import { element } from './dom.js';

/**
 * Small pictures in a row, each with a button that removes it. With `onSelect` one of them is always the chosen one.
 * A picture is a Blob with a name.
 */
export function thumbnails(host, { onSelect, onChange } = {}) {
  const shown = [];
  let chosen;

  function add(pictures) {
    for (const picture of pictures) {
      const url = URL.createObjectURL(picture);
      const image = element('img', { src: url, alt: picture.name, title: picture.name });
      const entry = { picture, url };
      entry.node = element(
        'div',
        { className: 'thumbnail' },
        onSelect
          ? element('button', { type: 'button', className: 'pick', ariaPressed: 'false', onclick: () => select(entry) }, image)
          : image,
        element('button', { type: 'button', className: 'remove', ariaLabel: `Remove ${picture.name}`, onclick: () => remove(entry) }, '×'),
      );
      shown.push(entry);
      host.append(entry.node);
    }
    onChange?.();
    if (pictures.length > 0) select(shown.at(-1));
  }

  function select(entry) {
    if (!onSelect) return;
    chosen = entry;
    for (const { node } of shown) node.querySelector('.pick').ariaPressed = String(node === entry?.node);
    onSelect(entry?.picture);
  }

  function remove(entry) {
    const place = shown.indexOf(entry);
    shown.splice(place, 1);
    entry.node.remove();
    URL.revokeObjectURL(entry.url);
    onChange?.();
    if (chosen === entry) select(shown[Math.min(place, shown.length - 1)]);
  }

  return {
    add,
    clear: () => {
      for (const entry of [...shown]) remove(entry);
    },
    get pictures() {
      return shown.map((entry) => entry.picture);
    },
    get chosen() {
      return chosen?.picture;
    },
  };
}
