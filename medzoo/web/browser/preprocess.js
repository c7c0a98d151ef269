// From the pixels of an image to the numbers that a model expects, exactly as medzoo.transforms.

const LUMINANCE = [19595, 38470, 7471]; // ITU-R 601-2 in 65536ths, as Pillow's mode "L"
const MAX_PRECISION = 22; // bits after the point of the filter's weights, if they fit into 16 bits

/**
 * Make one square ready for a model: gray or RGB, resized, normalised.
 *
 * @param {{channels: Uint8Array[], side: number}} square One or three planes of side x side.
 * @param {{channels: number, size: number, mean: number[], std: number[]}} input The model's.
 * @returns {Float32Array} channels x size x size.
 */
export function prepare(square, input) {
  const planes = resizedPlanes(square, input);
  const area = input.size ** 2;
  const result = new Float32Array(input.channels * area);
  for (let channel = 0; channel < input.channels; channel++) {
    const [mean, std] = [input.mean[channel], input.std[channel]];
    const [scale, bias] = [Math.fround(1 / (255 * std)), Math.fround(-mean / std)];
    const value = Float32Array.from({ length: 256 }, (_, pixel) => pixel * scale + bias);
    const plane = planes[Math.min(channel, planes.length - 1)];
    for (let i = 0; i < area; i++) result[channel * area + i] = value[plane[i]];
  }
  return result;
}

/** The 8-bit pixels that a model sees: the planes of the image, but no more than it takes. */
export function resizedPlanes({ channels, side }, input) {
  const planes = input.channels === 1 ? [toGray(channels)] : channels;
  return side === input.size ? planes : planes.map((plane) => resize(plane, side, input.size));
}

function toGray(planes) {
  if (planes.length === 1) return planes[0];
  const [red, green, blue] = planes;
  const [r, g, b] = LUMINANCE;
  const gray = new Uint8Array(red.length);
  for (let i = 0; i < gray.length; i++) {
    gray[i] = (r * red[i] + g * green[i] + b * blue[i] + 32768) >> 16;
  }
  return gray;
}

/**
 * Resize a square plane by bicubic interpolation with antialiasing: first along the rows, then
 * along the columns, each rounded to 8 bits, with integer weights, as PyTorch does it.
 */
export function resize(plane, side, size) {
  const filter = filterFor(side, size);
  return alongRows(alongRows(plane, side, side, filter), side, size, filter);
}

/** Resize each row and transpose, so that doing it twice resizes rows and columns. */
function alongRows(plane, width, height, { starts, weights, taps, precision }) {
  const size = starts.length;
  const result = new Uint8Array(size * height);
  const half = 1 << (precision - 1);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < size; x++) {
      let sum = half;
      const from = y * width + starts[x];
      const count = taps[x];
      const own = weights[x];
      for (let i = 0; i < count; i++) sum += plane[from + i] * own[i];
      sum >>= precision;
      result[x * height + y] = sum < 0 ? 0 : sum > 255 ? 255 : sum;
    }
  }
  return result;
}

/** The integer weights of each place of the result, the largest that fit into 16 bits. */
function filterFor(side, size) {
  const scale = side / size;
  const support = scale >= 1 ? 2 * scale : 2;
  const inverse = scale >= 1 ? 1 / scale : 1;
  const starts = new Int32Array(size);
  const taps = new Int32Array(size);
  const exact = [];
  let largest = 0;
  for (let x = 0; x < size; x++) {
    const centre = scale * (x + 0.5);
    const start = Math.max(Math.trunc(centre - support + 0.5), 0);
    const count = Math.min(Math.trunc(centre + support + 0.5), side) - start;
    const own = Array.from({ length: count }, (_, i) =>
      bicubic((i + start - centre + 0.5) * inverse),
    );
    const total = own.reduce((sum, weight) => sum + weight, 0);
    exact.push(own.map((weight) => weight / total));
    largest = Math.max(largest, ...exact[x]);
    [starts[x], taps[x]] = [start, count];
  }
  let precision = 0;
  while (precision < MAX_PRECISION && Math.trunc(0.5 + largest * 2 ** (precision + 1)) < 1 << 15) {
    precision++;
  }
  const weights = exact.map((own) =>
    Int32Array.from(own, (weight) =>
      Math.trunc(weight * 2 ** precision + (weight < 0 ? -0.5 : 0.5)),
    ),
  );
  return { starts, taps, weights, precision };
}

function bicubic(x) {
  const a = -0.5;
  const distance = Math.abs(x);
  if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1;
  if (distance < 2) return (((distance - 5) * distance + 8) * distance - 4) * a;
  return 0;
}
