import { escapeText } from '../text/escape.js';
import { STYLE } from './style.js';

/** `name  value` rows; those without a value are left out. */
export type Facts = readonly (readonly [name: string, value: string | undefined])[];

/** A whole page; well-formed as XML after its doctype. */
export function page(title: string, lead: string | undefined, sections: readonly (string | undefined)[], footer: string): string {
  const head = `<head><meta charset="utf-8" /><meta name="viewport" content="width=device-width, initial-scale=1" /><title>${escapeText(title)}</title><style>${STYLE}</style></head>`;
  return [
    `<!doctype html>\n<html lang="en">${head}\n<body>`,
    `<h1>${escapeText(title)}</h1>`,
    lead === undefined ? '' : `<p class="lead">${escapeText(lead)}</p>`,
    ...sections.filter((section) => section !== undefined),
    `<footer>${escapeText(footer)}</footer>`,
    '</body></html>\n',
  ].join('\n');
}

/** A headline and what is under it. */
export const section = (title: string, ...parts: readonly string[]): string => `<h2>${escapeText(title)}</h2>\n${parts.join('\n')}`;

/** Numbers that are looked at first. */
export function cards(rows: Facts): string {
  const each = known(rows).map(([name, value]) => `<div class="card"><b>${escapeText(value)}</b><span>${escapeText(name)}</span></div>`);
  return `<div class="cards">${each.join('')}</div>`;
}

export function factsTable(rows: Facts): string {
  const each = known(rows).map(([name, value]) => `<tr><th>${escapeText(name)}</th><td>${escapeText(value)}</td></tr>`);
  return `<table class="facts"><tbody>${each.join('')}</tbody></table>`;
}

/** A table with a first column of names and the others of numbers. */
export function numbersTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: 'th' | 'td') =>
    row
      .map((cell, i) => `<${i === 0 ? 'th' : tag}${i === 0 ? '' : ' class="number"'}>${escapeText(cell)}</${i === 0 ? 'th' : tag}>`)
      .join('');
  const body = rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('');
  return `<div class="wide"><table><thead><tr>${cells(header, 'th')}</tr></thead><tbody>${body}</tbody></table></div>`;
}

export const note = (text: string): string => `<p class="note">${escapeText(text)}</p>`;

export const classList = (classes: readonly string[]): string =>
  `<ul class="classes">${classes.map((name) => `<li>${escapeText(name)}</li>`).join('')}</ul>`;

const known = (rows: Facts): (readonly [string, string])[] => rows.filter((row): row is readonly [string, string] => row[1] !== undefined);
