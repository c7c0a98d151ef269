// Heat maps: where an image supports a class.

const SIDE = 224; // pixels of the picture
const COLOURS = [
  [68, 1, 84],
  [49, 104, 142],
  [53, 183, 121],
  [253, 231, 37],
]; // viridis
const GRID = 7; // parts per side that are hidden
const BATCH = 49; // changes that are run at once
const STEP = 1 / 64; // by which a place of a map is made larger

/**
 * Return how much each place supports a class, and by which method.
 *
 * @param {{model: object, run: Function}} network The model.
 * @param {Float32Array} input The prepared image.
 * @param {Float32Array} logits What it gives.
 * @param {number} index The class.
 */
export async function explain(network, input, logits, index, signal) {
  const method = network.model.map ? "HiResCAM" : "occlusion";
  const [height, width] = network.model.map ?? [GRID, GRID];
  const values = new Float32Array(height * width);
  const changed = network.model.map ? scaled : hidden;
  for (let first = 0; first < values.length; first += BATCH) {
    signal?.throwIfAborted();
    const count = Math.min(BATCH, values.length - first);
    const { logits: all } = await network.run(...changed(network.model, input, first, count));
    for (let i = 0; i < count; i++) {
      const change = all[i * logits.length + index] - logits[index];
      values[first + i] = network.model.map ? change / STEP : -change;
    }
    await new Promise((resolve) => setTimeout(resolve)); // so that the page stays alive
  }
  return { method, map: { height, width, values } };
}

/**
 * The map with one place after the other made slightly larger: HiResCAM is the derivative of the
 * logit by that, which medzoo.explain computes backwards.
 */
function scaled(model, input, first, count) {
  const area = model.map[0] * model.map[1];
  const scale = new Float32Array(count * area).fill(1);
  for (let i = 0; i < count; i++) scale[i * area + first + i] += STEP;
  return [input, scale];
}

/** The image with one part after the other hidden, for networks without a map of their own. */
function hidden({ input: { channels, size } }, input, first, count) {
  const step = size / GRID;
  // Twice as wide as a step, so that nothing falls between two parts.
  const range = (place) => [
    Math.max(0, Math.round((place - 0.5) * step)),
    Math.min(size, Math.round((place + 1.5) * step)),
  ];
  const batch = new Float32Array(count * input.length);
  for (let i = 0; i < count; i++) {
    batch.set(input, i * input.length);
    const [left, right] = range((first + i) % GRID);
    const [top, bottom] = range(Math.floor((first + i) / GRID));
    for (let channel = 0; channel < channels; channel++) {
      for (let y = top; y < bottom; y++) {
        const line = i * input.length + (channel * size + y) * size;
        batch.fill(0, line + left, line + right); // the mean colour of the training images
      }
    }
  }
  return [batch];
}

/** Return the address of a picture of a map: enlarged, viridis, the more opaque the hotter. */
export async function heatMapUrl(map) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  const heat = enlarged(map, SIDE);
  const largest = heat.reduce((most, value) => Math.max(most, value), 1e-30);
  heat.forEach((value, i) => {
    const part = value / largest;
    const place = part * (COLOURS.length - 1);
    const from = Math.min(Math.floor(place), COLOURS.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const [low, high] = [COLOURS[from][channel], COLOURS[from + 1][channel]];
      image.data[4 * i + channel] = low + (high - low) * (place - from);
    }
    image.data[4 * i + 3] = 255 * part;
  });
  context.putImageData(image, 0, 0);
  return canvas.toDataURL("image/png");
}

/** Enlarge what is above 0 by bilinear interpolation, as medzoo.explain does. */
export function enlarged({ width, height, values }, side) {
  const result = new Float32Array(side * side);
  const at = (place, length) => {
    const centre = Math.min(Math.max(((place + 0.5) * length) / side - 0.5, 0), length - 1);
    const low = Math.min(Math.floor(centre), length - 1);
    return [low, Math.min(low + 1, length - 1), centre - low];
  };
  const positive = (x, y) => Math.max(0, values[y * width + x]);
  for (let y = 0; y < side; y++) {
    const [top, bottom, down] = at(y, height);
    for (let x = 0; x < side; x++) {
      const [left, right, across] = at(x, width);
      const upper = positive(left, top) * (1 - across) + positive(right, top) * across;
      const lower = positive(left, bottom) * (1 - across) + positive(right, bottom) * across;
      result[y * side + x] = upper * (1 - down) + lower * down;
    }
  }
  return result;
}
