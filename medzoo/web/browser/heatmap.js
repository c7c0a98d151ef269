// Heat maps: where an image supports a class.

const SIDE = 224; // pixels of the picture
const COLOURS = [[68, 1, 84], [49, 104, 142], [53, 183, 121], [253, 231, 37]]; // viridis
const GRID = 7; // places per side
const BATCH = 16; // images with a part hidden that are run at once

/**
 * Hide one part of an image after the other, and see how much the class's logit falls.
 *
 * For networks whose last map is too coarse, or is not averaged before a linear layer. What is
 * hidden becomes the mean colour of the training images.
 */
export async function occlusion(network, input, logits, index, signal) {
  const { channels, size } = network.model.input;
  const step = size / GRID;
  const values = new Float32Array(GRID ** 2);
  for (let first = 0; first < values.length; first += BATCH) {
    signal?.throwIfAborted();
    const count = Math.min(BATCH, values.length - first);
    const batch = new Float32Array(count * input.length);
    for (let i = 0; i < count; i++) {
      batch.set(input, i * input.length);
      const [column, row] = [(first + i) % GRID, Math.floor((first + i) / GRID)];
      // Twice as wide as a step, so that nothing falls between two parts.
      const range = (place) => [
        Math.max(0, Math.round((place - 0.5) * step)),
        Math.min(size, Math.round((place + 1.5) * step)),
      ];
      const [[left, right], [top, bottom]] = [range(column), range(row)];
      for (let channel = 0; channel < channels; channel++) {
        for (let y = top; y < bottom; y++) {
          const line = i * input.length + (channel * size + y) * size;
          batch.fill(0, line + left, line + right);
        }
      }
    }
    const { all } = await network.run(batch);
    for (let i = 0; i < count; i++) values[first + i] = logits[index] - all[i * logits.length + index];
    await new Promise((resolve) => setTimeout(resolve)); // so that the page stays alive
  }
  return { width: GRID, height: GRID, values };
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
