import { openDataset } from '../vgg/vgg.js';
import { run } from './task.js';

/** An area that takes a folder of class folders, or a zip of them. Hands the library's dataset to `onData`. */
export function classFolders(area, task, onData) {
  const open = async (input) => {
    // What was dropped is there only now, so nothing is awaited before the library has it.
    const data = await run(task, 'Reading', ({ signal }) => openDataset(input, { signal }));
    if (data) onData(data);
  };
  for (const chooser of area.querySelectorAll('input[type=file]')) {
    chooser.addEventListener('change', () => {
      const files = [...chooser.files];
      chooser.value = '';
      if (files.length > 0) open(files);
    });
  }
  area.addEventListener('dragover', (event) => {
    event.preventDefault();
    area.classList.add('over');
  });
  area.addEventListener('dragleave', () => area.classList.remove('over'));
  area.addEventListener('drop', (event) => {
    event.preventDefault();
    area.classList.remove('over');
    open(event.dataTransfer.items);
  });
}

/** A dataset in a line: 244 pictures in 2 classes (ants 123, bees 121). */
export function describeData({ classes, examples, skipped }) {
  const counts = classes.map(() => 0);
  for (const { label } of examples) counts[label]++;
  const listed = classes.slice(0, 8).map((name, i) => `${name} ${counts[i]}`);
  const more = classes.length > 8 ? ` and ${classes.length - 8} more` : '';
  const left = skipped.length > 0 ? `; ${skipped.length === 1 ? '1 file is no picture' : `${skipped.length} files are no pictures`}` : '';
  return `${examples.length} pictures in ${classes.length} classes (${listed.join(', ')}${more})${left}.`;
}
