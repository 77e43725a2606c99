// The few things that every part of the page does with the document.

/** An element with attributes (or properties, such as onclick) and children. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name in made && name !== 'list') made[name] = value;
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** Opens a section for use, now that it has what it waited for. */
export function open(section) {
  section.classList.remove('waiting');
  section.querySelector('.content').inert = false;
}

/** Gives bytes to the person as a file. */
export function download(bytes, name) {
  const url = URL.createObjectURL(bytes instanceof Blob ? bytes : new Blob([bytes]));
  element('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Shows a Blob in an img, and lets go of the one before. */
export function showPicture(image, picture) {
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(picture);
}

export const percent = (part) => `${(part * 100).toFixed(1)} %`;

/** Bytes for people: 58.9 MB. */
export function megabytes(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Probabilities as bars, the largest first as they come. */
export function showBars(list, rows) {
  list.replaceChildren(
    ...rows.map(({ label, probability }) =>
      element(
        'li',
        {},
        element('span', {}, label),
        element('meter', { min: 0, max: 1, value: probability, ariaLabel: label }),
        element('b', {}, percent(probability)),
      ),
    ),
  );
  list.hidden = false;
}
