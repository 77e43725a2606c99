/** Makes a `.drop` area, with the file inputs inside it, answer with an array of files. Folders are walked. */
export function dropArea(area, onFiles) {
  for (const input of area.querySelectorAll('input[type=file]')) {
    input.addEventListener('change', () => {
      const files = [...input.files];
      // The same file may be chosen again.
      input.value = '';
      if (files.length > 0) onFiles(files);
    });
  }
  area.addEventListener('dragover', (event) => {
    event.preventDefault();
    area.classList.add('over');
  });
  area.addEventListener('dragleave', () => area.classList.remove('over'));
  area.addEventListener('drop', async (event) => {
    event.preventDefault();
    area.classList.remove('over');
    const files = await dropped(event.dataTransfer);
    if (files.length > 0) onFiles(files);
  });
}

/** Keeps a file that misses its area from replacing the page. */
export function ignoreMissedDrops() {
  for (const type of ['dragover', 'drop']) addEventListener(type, (event) => event.preventDefault());
}

/** What was dropped; the entries must be taken before the first await. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files];
  return (await Promise.all(entries.map(walk))).flat();
}

async function walk(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const entries = [];
  // A reader gives a folder in parts; an empty part is the end.
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (part.length === 0) break;
    entries.push(...part);
  }
  return (await Promise.all(entries.map(walk))).flat();
}
