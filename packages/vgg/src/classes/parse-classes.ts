import { VggError } from '@vgg/errors';

/** One class of a classifier. */
export interface ClassName {
  /** The output that stands for it. */
  readonly index: number;
  /** The WordNet id, such as `n02123159`. */
  readonly wnid?: string;
  readonly label: string;
}

/** Enough for every published class list (ImageNet-21k has 21,843); a list is a stranger's file too. */
const MAX_CLASSES = 1_000_000;
const WNID = /^n\d{8}$/;

/**
 * Class names from a list as it is found in the wild: Keras's class index (`{"0": ["n01440764", "tench"]}`), `{"0": "tench"}`, a JSON
 * list of names or pairs, lines of index, wnid and name between tabs, Caffe's `n01440764 tench, Tinca tinca`, or a name a line.
 *
 * @returns in the order of the outputs
 * @throws VggError `VGG_FORMAT` for anything else, and for a list with an index missing or twice
 * @example
 * parseClasses('n01440764 tench, Tinca tinca\nn01443537 goldfish')[1]; // { index: 1, wnid: 'n01443537', label: 'goldfish' }
 */
export function parseClasses(text: string, name = 'classes'): ClassName[] {
  const trimmed = text.replace(/^\uFEFF/, '').trim();
  const classes = /^[[{]/.test(trimmed) ? fromJson(trimmed, name) : fromLines(trimmed, name);
  if (classes.length === 0 || classes.length > MAX_CLASSES) refuse(name, `1 to ${MAX_CLASSES} classes`, `${classes.length}`);
  if (!classes.some(({ index }) => index === 0) && classes.some(({ index }) => index === classes.length)) {
    const hint = "the ILSVRC development kit counts so, in an order of its own: take a list in the order of the weights' outputs";
    refuse(name, `indices from 0 to ${classes.length - 1}`, `1 to ${classes.length}; ${hint}`);
  }
  const ordered: ClassName[] = new Array(classes.length);
  for (const each of classes) {
    if (!(each.index >= 0 && each.index < classes.length)) refuse(name, `indices from 0 to ${classes.length - 1}`, `${each.index}`);
    if (ordered[each.index]) refuse(name, 'each index once', `${each.index} twice`);
    ordered[each.index] = each;
  }
  return ordered;
}

/**
 * What is suspicious about a class list: weights number ImageNet's classes by ascending wnid (282 is n02123159, the tiger cat), and
 * the competition's development kit numbers the same classes otherwise.
 */
export function classWarnings(classes: readonly ClassName[]): string[] {
  const wnids = classes.map((each) => each.wnid);
  const odd = wnids.findIndex((wnid, index) => index > 0 && wnid !== undefined && wnid <= (wnids[index - 1] ?? ''));
  if (odd < 0) return [];
  const kit = wnids[0] === 'n02119789' ? 'this is the order of the ILSVRC development kit' : 'this order is another';
  return [
    `classes: expected ascending wnids as the published weights have, received ${wnids[odd]} after ${wnids[odd - 1]} at index ${odd}; ${kit}, so labels may be wrong`,
  ];
}

function fromJson(text: string, name: string): ClassName[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new VggError('VGG_FORMAT', `${name}: expected class names, received JSON that does not parse`, { cause: error });
  }
  return Object.entries(json as object).map(([key, value]) => {
    const pair = Array.isArray(value) ? value : [undefined, value];
    const [wnid, label] = pair as unknown[];
    if (!/^\d+$/.test(key)) refuse(name, 'indices as keys', JSON.stringify(key).slice(0, 60));
    if (typeof label !== 'string' || pair.length !== 2 || !(wnid === undefined || typeof wnid === 'string')) {
      refuse(name, `a name, or a wnid and a name, at ${key}`, (JSON.stringify(value) ?? '').slice(0, 60));
    }
    return { index: Number(key), ...(wnid === undefined ? {} : { wnid: wnid as string }), label: label as string };
  });
}

function fromLines(text: string, name: string): ClassName[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  const isTable = lines.length > 0 && lines.slice(1).every((line) => /^\d+\t/.test(line)) && lines[0]!.includes('\t');
  // A table may have a heading.
  const rows = isTable && !/^\d+\t/.test(lines[0]!) ? lines.slice(1) : lines;
  return rows.map((line, row) => {
    if (line.includes('\0')) refuse(name, 'text', 'bytes');
    if (!isTable) {
      const [first = '', ...rest] = line.trim().split(/\s+/);
      return WNID.test(first) && rest.length > 0 ? { index: row, wnid: first, label: rest.join(' ') } : { index: row, label: line.trim() };
    }
    const cells = line.split('\t').map((cell) => cell.trim());
    const hasWnid = WNID.test(cells[1]!);
    const label = cells[hasWnid ? 2 : 1] ?? '';
    if (label === '') refuse(name, 'an index, a wnid and a name between tabs', JSON.stringify(line.slice(0, 60)));
    return { index: Number(cells[0]), ...(hasWnid ? { wnid: cells[1]! } : {}), label };
  });
}

function refuse(name: string, expected: string, received: string): never {
  throw new VggError('VGG_FORMAT', `${name}: expected ${expected}, received ${received}`);
}
