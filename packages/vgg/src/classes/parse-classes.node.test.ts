import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { classWarnings, parseClasses } from './parse-classes.js';

const list = '../shared/data/imagenet-samples/imagenet-1k-classes.tsv';

/**
 * The development kit numbers 1000 classes from 1: its fox, setter, husky, terrier ... come first (`meta.mat` of ILSVRC2012_devkit_t12).
 * Only the first four are its own here; the others stand in the order of the wnids.
 */
const KIT = ['n02119789', 'n02100735', 'n02110185', 'n02096294'];

it.skipIf(!existsSync(list))("the development kit's order of the same 1000 is warned of", () => {
  const known = parseClasses(readFileSync(list, 'utf8'));
  const rest = known.filter(({ wnid }) => !KIT.includes(wnid!)).map(({ wnid, label }) => `${wnid} ${label}`);
  const kit = parseClasses([...KIT.map((wnid) => `${wnid} ${known.find((each) => each.wnid === wnid)!.label}`), ...rest].join('\n'));
  expect(kit).toHaveLength(1000);
  expect(classWarnings(kit)).toEqual([
    'classes: expected ascending wnids as the published weights have, received n02100735 after n02119789 at index 1; this is the order of the ILSVRC development kit, so labels may be wrong',
  ]);
});

it.skipIf(!existsSync(list))('the 1000 of ImageNet: 282 is the tiger cat, nothing to warn of', () => {
  const classes = parseClasses(readFileSync(list, 'utf8'));
  expect(classes).toHaveLength(1000);
  expect(classes[282]).toEqual({ index: 282, wnid: 'n02123159', label: 'tiger_cat' });
  expect(classWarnings(classes)).toEqual([]);
});
