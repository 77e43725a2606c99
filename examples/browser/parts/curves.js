import { trainingCurves } from '../vgg/vgg.js';
import { element, percent, showPicture } from './dom.js';

/** Shows how training goes, epoch by epoch, as the library draws it. The picture has a description of its end. */
export function showCurves(host, history, best) {
  if (history.length === 0) return host.replaceChildren();
  const image = host.querySelector('img') ?? element('img', { className: 'curves' });
  showPicture(image, new Blob([trainingCurves(history, best === undefined ? {} : { best })], { type: 'image/svg+xml' }));
  const { epoch, loss, accuracy, valAccuracy } = history.at(-1);
  const checked = valAccuracy === undefined ? '' : `, ${percent(valAccuracy)} of the validation pictures`;
  image.alt = `Curves up to epoch ${epoch}: loss ${loss.toPrecision(3)}, right are ${percent(accuracy)} of the training pictures${checked}`;
  host.replaceChildren(image);
}
