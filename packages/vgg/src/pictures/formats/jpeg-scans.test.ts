import { describe, expect, it } from 'vitest';
import { fixture, fixtures } from '../../../test/pictures/fixtures.js';
import { Reader } from '../bytes.js';
import { segments } from './jpeg.js';
import { scansFit } from './jpeg-scans.js';

const fits = (bytes: Uint8Array) => scansFit(new Reader(bytes), segments(new Reader(bytes)));
const names = fixtures.map(({ name }) => name).filter((name) => name.endsWith('.jpg'));
const SOS = 0xda;

describe('scansFit', () => {
  it.each(names)('%s fits', (name) => expect(fits(fixture(name))).toBe(true));

  it.each(['rgb-444.jpg', 'progressive.jpg'])('%s: bytes lost or changed are found, nearly always', (name) => {
    const whole = fixture(name);
    const start = [...segments(new Reader(whole))].find(({ marker }) => marker === SOS)!.at + 20;
    let found = 0;
    let tried = 0;
    for (let at = start; at < whole.length - 120; at += 7, tried += 2) {
      const lost = whole
        .slice()
        .copyWithin(at, at + 100)
        .subarray(0, whole.length - 100);
      const changed = whole.slice().copyWithin(at, at - 200, at - 80);
      found += Number(!fits(lost)) + Number(!fits(changed));
    }
    expect(tried).toBeGreaterThan(100);
    // A small picture: in photographs, with their many blocks, 97 of 100 are found.
    expect(found / tried).toBeGreaterThan(0.75);
  });

  it('a scan that is missing is found', () => {
    const bytes = fixture('progressive.jpg');
    const first = [...segments(new Reader(bytes))].find(({ marker }) => marker === SOS)!.at - 2;
    expect(fits(Uint8Array.from([...bytes.subarray(0, first), 0xff, 0xd9]))).toBe(false);
  });

  it('thousands of scans are refused', () => {
    const bytes = fixture('progressive.jpg');
    const scans = [...segments(new Reader(bytes))].filter(({ marker }) => marker === SOS).map(({ at }) => at - 2);
    const dcRefinement = bytes.subarray(scans[5]!, scans[6]!);
    const many = [...bytes.subarray(0, scans[6]!)];
    for (let i = 0; i < 200; i++) many.push(...dcRefinement);
    expect(fits(Uint8Array.from([...many, ...bytes.subarray(scans[6]!)]))).toBe(false);
  });
});
