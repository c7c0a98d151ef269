// From an image file to the planes of its central square, upright, as medzoo.images reads it.

import { UnreadableImage, ascii } from "./bytes.js";
import { readBmp, readGif, readJpeg, readWebp } from "./metadata.js";
import { decodePng } from "./png.js";

const MAX_PIXELS = 1 << 26; // as medzoo.images.decoding.limits
const DEPTHS = [8, 10, 12, 14]; // bits of devices whose values are stored in 16 bits
const STRIP = 1 << 22; // pixels of a canvas that are read at once
const UNTURNED = [1, 0, 0, 1]; // x, y of the file per x, y of the upright image: xx, xy, yx, yy
const TURNS = {
  2: [-1, 0, 0, 1],
  3: [-1, 0, 0, -1],
  4: [1, 0, 0, -1],
  5: [0, 1, 1, 0],
  6: [0, 1, -1, 0],
  7: [0, -1, -1, 0],
  8: [0, -1, 1, 0],
};

/**
 * Decode a file and crop it.
 *
 * @param {Blob} file The file; its format is recognised by its content.
 * @returns {Promise<{channels: Uint8Array[], side: number, warning: ?string}>} One (gray) or three
 *   planes; and what is suspicious about them.
 * @throws {UnreadableImage} If it cannot be read, or not as Python would.
 */
export async function centralSquare(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const image = await decoded(bytes, formatOf(bytes));
  return { ...squareOf(image), warning: depthWarning(image.highest) };
}

/** As `medzoo.images.depth`: scans of 12 bits are almost black if they were not scaled to 16. */
function depthWarning(highest) {
  const bits = highest && DEPTHS.find((depth) => highest < 1 << depth);
  return bits ? `It looks like a ${bits}-bit image, which is too dark here: white is 65535.` : null;
}

function formatOf(bytes) {
  const head = ascii(bytes, 0, 12);
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "png";
  if (head.startsWith("\xff\xd8\xff")) return "jpeg";
  if (head.startsWith("RIFF") && head.endsWith("WEBP")) return "webp";
  if (head.startsWith("GIF8")) return "gif";
  if (head.startsWith("BM")) return "bmp";
  const isTiff = head.startsWith("II*\0") || head.startsWith("MM\0*");
  const known = isTiff ? "TIFF" : ascii(bytes, 128, 4) === "DICM" ? "DICOM" : null;
  throw new UnreadableImage(
    known
      ? `${known} files cannot be read in a browser; save it as PNG, or use medzoo predict`
      : "unknown format, expected PNG, JPEG, WebP, GIF or BMP; save it as PNG",
  );
}

async function decoded(bytes, format) {
  if (format === "png") return decodePng(bytes, checkSize);
  const read = { jpeg: readJpeg, webp: readWebp, gif: readGif, bmp: readBmp }[format];
  const file = read(bytes);
  checkSize(file.width, file.height);
  return { ...file, bitmap: await bitmapOf(file) };
}

function checkSize(width, height) {
  if (width < 1 || height < 1 || width * height > MAX_PIXELS) {
    const limit = MAX_PIXELS.toLocaleString("en");
    throw new UnreadableImage(`it has ${width} x ${height} pixels, expected 1 to ${limit}`);
  }
}

async function bitmapOf({ parts, type, width, height }) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob(parts, { type }), {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch {
    throw new UnreadableImage("it is damaged, or of a kind that this browser does not read");
  }
  if (bitmap.width !== width || bitmap.height !== height) {
    throw new UnreadableImage("this browser does not decode it in its full size; make it smaller");
  }
  return bitmap;
}

function squareOf(image) {
  const turn = TURNS[image.orientation] ?? UNTURNED;
  const [xx, xy, yx, yy] = turn;
  const [width, height] = xx ? [image.width, image.height] : [image.height, image.width];
  const side = Math.min(width, height);
  const left = (width - side) >> 1;
  const top = (height - side) >> 1;
  // From the upright square's corner to the least x and y of the file's square.
  const x = least(xx * left + xy * top, xx + xy, image.width, side);
  const y = least(yx * left + yy * top, yx + yy, image.height, side);
  const planes = image.bitmap
    ? fromBitmap(image.bitmap, x, y, side)
    : fromPlanes(image, x, y, side);
  return {
    channels: turn === UNTURNED ? planes : planes.map((plane) => turned(plane, side, turn)),
    side,
  };
}

function least(offset, direction, length, side) {
  return direction > 0 ? offset : length + offset - side;
}

function turned(plane, side, [xx, xy, yx, yy]) {
  const result = new Uint8Array(side * side);
  const startX = xx + xy < 0 ? side - 1 : 0;
  const startY = yx + yy < 0 ? side - 1 : 0;
  for (let y = 0, at = 0; y < side; y++) {
    for (let x = 0; x < side; x++, at++) {
      result[at] = plane[(startY + yx * x + yy * y) * side + startX + xx * x + xy * y];
    }
  }
  return result;
}

function fromPlanes({ channels, width, height }, left, top, side) {
  if (width === side && height === side) return channels;
  return channels.map((plane) => {
    const result = new Uint8Array(side * side);
    for (let y = 0; y < side; y++) {
      const start = (top + y) * width + left;
      result.set(plane.subarray(start, start + side), y * side);
    }
    return result;
  });
}

/** Read a bitmap's pixels in strips, since the size of a canvas is limited. */
function fromBitmap(bitmap, left, top, side) {
  const rows = Math.max(1, Math.min(side, Math.floor(STRIP / side)));
  const context = opaqueContext(side, rows);
  const planes = [0, 1, 2].map(() => new Uint8Array(side * side));
  for (let y = 0; y < side; y += rows) {
    const count = Math.min(rows, side - y);
    context.fillStyle = "#000"; // with which transparency is blended
    context.fillRect(0, 0, side, count);
    context.drawImage(bitmap, left, top + y, side, count, 0, 0, side, count);
    const { data } = context.getImageData(0, 0, side, count);
    for (let i = 0, at = y * side; i < data.length; i += 4, at++) {
      planes[0][at] = data[i];
      planes[1][at] = data[i + 1];
      planes[2][at] = data[i + 2];
    }
  }
  bitmap.close();
  return planes;
}

function opaqueContext(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", {
    alpha: false,
    willReadFrequently: true,
    colorSpace: "srgb",
  });
  context.imageSmoothingEnabled = false;
  checkReading();
  return context;
}

let isFaithful;

/** Some browsers change what a page reads from a canvas, against tracking. */
function checkReading() {
  if (isFaithful === undefined) {
    const side = 32;
    const values = Uint8ClampedArray.from({ length: 4 * side * side }, (_, i) =>
      i % 4 === 3 ? 255 : (i * 7) & 255,
    );
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.putImageData(new ImageData(values, side, side), 0, 0);
    const read = context.getImageData(0, 0, side, side).data;
    isFaithful = read.every((value, i) => value === values[i]);
  }
  if (!isFaithful) {
    throw new UnreadableImage(
      "this browser changes the pixels that pages read (protection against tracking); " +
        "use a PNG file, or allow it for this page",
    );
  }
}
