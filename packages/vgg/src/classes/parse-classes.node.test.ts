import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { classWarnings, parseClasses } from './parse-classes.js';

const list = '../shared/data/imagenet-samples/imagenet-1k-classes.tsv';

it.skipIf(!existsSync(list))('the 1000 of ImageNet: 282 is the tiger cat, nothing to warn of', () => {
  const classes = parseClasses(readFileSync(list, 'utf8'));
  expect(classes).toHaveLength(1000);
  expect(classes[282]).toEqual({ index: 282, wnid: 'n02123159', label: 'tiger_cat' });
  expect(classWarnings(classes)).toEqual([]);
});
