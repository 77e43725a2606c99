// Pictures that the page draws itself, for those who have none at hand: three kinds of texture, no two pictures alike.

const SIZE = 160;

const paint = {
  checks(context, period) {
    for (let y = -SIZE; y < SIZE; y += period)
      for (let x = -SIZE; x < SIZE; x += period)
        if ((Math.round(x / period) + Math.round(y / period)) % 2 === 0) context.fillRect(x, y, period, period);
  },
  dots(context, period) {
    for (let y = -SIZE; y < SIZE; y += period) {
      for (let x = -SIZE; x < SIZE; x += period) {
        context.beginPath();
        context.arc(x, y, period / 3, 0, 2 * Math.PI);
        context.fill();
      }
    }
  },
  stripes(context, period) {
    for (let x = -SIZE; x < SIZE; x += period) context.fillRect(x, -SIZE, period / 2, 2 * SIZE);
  },
};

export const TEXTURES = Object.keys(paint);

/** A picture of one kind of texture, as a PNG Blob with a name. */
export async function drawTexture(kind) {
  const canvas = new OffscreenCanvas(SIZE, SIZE);
  const context = canvas.getContext('2d');
  const between = (low, high) => low + Math.random() * (high - low);
  const hue = between(0, 360);
  context.fillStyle = `hsl(${hue} ${between(20, 70)}% ${between(70, 92)}%)`;
  context.fillRect(0, 0, SIZE, SIZE);
  context.translate(SIZE / 2, SIZE / 2);
  context.rotate(between(0, Math.PI));
  context.fillStyle = `hsl(${hue + between(20, 200)} ${between(30, 80)}% ${between(15, 45)}%)`;
  paint[kind](context, between(12, 30));
  const blob = await canvas.convertToBlob();
  return new File([blob], `${kind}.png`, { type: blob.type });
}
