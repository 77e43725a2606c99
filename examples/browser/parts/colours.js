/**
 * 256 colours from dark violet over orange to pale yellow whose lightness rises evenly, so that equal steps look equal
 * (Ottosson 2020, "A perceptual color space for image processing"). RGB bytes, three a colour.
 */
export const HEAT = heat();

function heat() {
  const colours = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i++) {
    const t = i / 255;
    const chroma = 0.04 + 0.17 * Math.sin(Math.PI * Math.min(1, 0.1 + 0.85 * t)) ** 0.8;
    colours.set(oklch(0.14 + 0.83 * t, chroma, 290 + 180 * t), i * 3);
  }
  return colours;
}

/** Lightness 0..1, chroma and hue in degrees to sRGB bytes. */
function oklch(lightness, chroma, hue) {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((value) => 255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * Math.max(0, value) ** (1 / 2.4) - 0.055));
}
