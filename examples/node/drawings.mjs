// Pictures that the tour draws itself, so that it needs no download: three kinds of texture, no two pictures alike.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

const SIZE = 160;

/** A random number generator (mulberry32): the same seed draws the same pictures. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How dark each texture is at a point, 0 to 1. */
const textures = {
  checks: ({ u, v, period }) => (Math.floor(u / period) + Math.floor(v / period)) % 2 === 0,
  dots: ({ u, v, period }) =>
    Math.hypot((((u % period) + period) % period) - period / 2, (((v % period) + period) % period) - period / 2) < period / 3,
  stripes: ({ u, period }) => Math.floor(u / period) % 2 === 0,
};

function draw(name, rand) {
  const angle = rand() * Math.PI;
  const period = 8 + rand() * 18;
  const shift = rand() * 40;
  const ink = [rand(), rand(), rand()].map((value) => value * 150);
  const paper = ink.map((value) => Math.min(255, value + 70 + rand() * 100));
  const light = 0.6 + rand() * 0.4;
  const data = new Uint8Array(SIZE * SIZE * 3);
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      const u = 1000 + x * Math.cos(angle) - y * Math.sin(angle) + shift;
      const v = 1000 + x * Math.sin(angle) + y * Math.cos(angle) + shift;
      const colour = textures[name]({ u, v, period }) ? ink : paper;
      const shade = 1 - (1 - light) * (x / SIZE);
      for (let c = 0; c < 3; c++) data[(y * SIZE + x) * 3 + c] = Math.max(0, Math.min(255, colour[c] * shade + (rand() - 0.5) * 50));
    }
  }
  return data;
}

/** Writes `count` pictures of each kind into class folders below `folder`. */
export async function drawClasses(folder, count, seed) {
  for (const [k, name] of Object.keys(textures).entries()) {
    await mkdir(join(folder, name), { recursive: true });
    for (let i = 0; i < count; i++) {
      const data = draw(name, random(seed * 100_003 + k * 1009 + i));
      const png = await sharp(data, { raw: { width: SIZE, height: SIZE, channels: 3 } })
        .png()
        .toBuffer();
      await writeFile(join(folder, name, `${name}-${String(i).padStart(2, '0')}.png`), png);
    }
  }
}
