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
    const markers = [...segments(new Reader(bytes))];
    // A scan that adds one bit to each DC coefficient fits any number of times.
    const place = markers.findIndex(
      ({ marker, at }, i) =>
        marker === SOS && i > markers.findIndex((other) => other.marker === SOS) && bytes[at + 3 + bytes[at + 2]! * 2] === 0,
    );
    const [from, to] = [markers[place]!.at - 2, markers[place + 1]!.at - 2];
    const repeated = (times: number) =>
      Uint8Array.from([
        ...bytes.subarray(0, from),
        ...Array.from({ length: times }, () => [...bytes.subarray(from, to)]).flat(),
        ...bytes.subarray(to),
      ]);
    expect([fits(repeated(1)), fits(repeated(50)), fits(repeated(200))]).toEqual([true, true, false]);
  });

  it('a second frame is refused', () => {
    const bytes = fixture('grey.jpg');
    const frame = [...segments(new Reader(bytes))].find(({ marker }) => marker === 0xc0)!.at - 2;
    expect(fits(Uint8Array.from([...bytes.subarray(0, frame), ...bytes.subarray(frame, frame + 13), ...bytes.subarray(frame)]))).toBe(
      false,
    );
  });
});
