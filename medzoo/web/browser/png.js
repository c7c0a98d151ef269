// PNG files, decoded as Pillow does: browsers lose 16-bit values, and recolour some files.

import { UnreadableImage, ascii, crc32, inflate, latin1 } from "./bytes.js";
import { orientationOf } from "./metadata.js";

const [GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA] = [0, 2, 3, 4, 6]; // colour types
const SAMPLES = { [GRAY]: 1, [RGB]: 3, [PALETTE]: 1, [GRAY_ALPHA]: 2, [RGB_ALPHA]: 4 };
const DEPTHS = {
  [GRAY]: [1, 2, 4, 8, 16],
  [RGB]: [8, 16],
  [PALETTE]: [1, 2, 4, 8],
  [GRAY_ALPHA]: [8, 16],
  [RGB_ALPHA]: [8, 16],
};
const WHOLE = [{ x: 0, y: 0, dx: 1, dy: 1 }];
const INTERLACED = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
].map(([x, y, dx, dy]) => ({ x, y, dx, dy })); // the passes of Adam7
const MAX_TEXT = 1 << 20;

/**
 * Decode a PNG file; of an animation its default image.
 *
 * @param {Uint8Array} bytes The file.
 * @param {(width: number, height: number) => void} checkSize Refuses images that are too large.
 * @returns {{width, height, channels: Uint8Array[], orientation}} Gray or RGB planes in 8 bits,
 *   blended with black where they are transparent; and `highest`, the largest value if it has 16.
 */
export async function decodePng(bytes, checkSize) {
  const chunks = readChunks(bytes);
  const header = readHeader(chunks.find(({ name }) => name === "IHDR"));
  checkSize(header.width, header.height);
  const data = chunks.filter(({ name }) => name === "IDAT").map(({ content }) => content);
  if (!data.length) throw new UnreadableImage("it has no image data");
  const one = (name) => chunks.find((chunk) => chunk.name === name)?.content;
  const passes = (header.interlaced ? INTERLACED : WHOLE)
    .map((pass) => withSize(pass, header))
    .filter(({ width, height }) => width && height);
  const expected = passes.reduce((sum, pass) => sum + pass.height * (1 + pass.stride), 0);
  const raw = await inflate(data, expected);
  if (raw.length < expected) throw new UnreadableImage("it is cut off");
  const toPixels = converter(header, one("PLTE"), one("tRNS"));
  const channels = header.colour === GRAY || header.colour === GRAY_ALPHA ? 1 : 3;
  const planes = Array.from(
    { length: channels },
    () => new Uint8Array(header.width * header.height),
  );
  let at = 0;
  for (const pass of passes) {
    unfilter(raw, at, pass, Math.max(1, header.bitsPerPixel >> 3));
    for (let row = 0; row < pass.height; row++) {
      const line = raw.subarray(at + 1, at + 1 + pass.stride);
      at += 1 + pass.stride;
      const start = (pass.y + row * pass.dy) * header.width + pass.x;
      toPixels(line, pass.width, planes, start, pass.dx);
    }
  }
  const orientation = orientationOf(
    await exifOf(chunks, one("eXIf")),
    await textOf(chunks, "XML:com.adobe.xmp"),
  );
  const { width, height, depth } = header;
  return {
    width,
    height,
    channels: planes,
    orientation,
    highest: depth === 16 ? highest(planes) : 0,
  };
}

/** The largest value in 16 bits, as closely as the upper 8 tell. */
function highest(planes) {
  return 257 * planes.reduce((most, plane) => plane.reduce((a, b) => Math.max(a, b), most), 0);
}

function readChunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunks = [];
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const end = at + 12 + length;
    if (end > bytes.length) break;
    const name = ascii(bytes, at + 4, 4);
    if (crc32(bytes.subarray(at + 4, end - 4)) !== view.getUint32(end - 4)) {
      throw new UnreadableImage(`it is damaged: wrong checksum of ${name}`);
    }
    if (name === "IEND") return chunks;
    chunks.push({ name, content: bytes.subarray(at + 8, end - 4) });
    at = end;
  }
  throw new UnreadableImage("it is cut off");
}

function readHeader(chunk) {
  if (!chunk || chunk.content.length < 13) throw new UnreadableImage("it has no header");
  const { content } = chunk;
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  const [depth, colour, , filter, interlaced] = content.subarray(8);
  if (!DEPTHS[colour]?.includes(depth) || filter || interlaced > 1) {
    throw new UnreadableImage("its header is damaged");
  }
  const bitsPerPixel = depth * SAMPLES[colour];
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  return { width, height, depth, colour, interlaced, bitsPerPixel };
}

function withSize({ x, y, dx, dy }, header) {
  const width = Math.max(0, Math.ceil((header.width - x) / dx));
  const height = Math.max(0, Math.ceil((header.height - y) / dy));
  return { x, y, dx, dy, width, height, stride: Math.ceil((width * header.bitsPerPixel) / 8) };
}

function unfilter(raw, start, { height, stride }, step) {
  let above = null;
  for (let row = 0, at = start; row < height; row++, at += 1 + stride) {
    const line = raw.subarray(at + 1, at + 1 + stride);
    unfilterLine(raw[at], line, above, step);
    above = line;
  }
}

function unfilterLine(kind, line, above, step) {
  for (let i = 0; i < line.length && kind; i++) {
    const left = i >= step ? line[i - step] : 0;
    const up = above ? above[i] : 0;
    if (kind === 1) line[i] += left;
    else if (kind === 2) line[i] += up;
    else if (kind === 3) line[i] += (left + up) >> 1;
    else if (kind === 4) line[i] += paeth(left, up, above && i >= step ? above[i - step] : 0);
    else throw new UnreadableImage("it is damaged: unknown filter of a row");
  }
}

function paeth(left, up, corner) {
  const estimate = left + up - corner;
  const [a, b, c] = [
    Math.abs(estimate - left),
    Math.abs(estimate - up),
    Math.abs(estimate - corner),
  ];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

/** Return what writes a row of raw bytes into planes: (line, width, planes, at, step). */
function converter(header, palette, transparency) {
  const { depth, colour } = header;
  if (colour === PALETTE) return fromPalette(depth, palette, transparency);
  const samples = SAMPLES[colour];
  const hasAlpha = colour === GRAY_ALPHA || colour === RGB_ALPHA;
  // Pillow keeps the upper byte of 16-bit colours, and medzoo scales 16-bit gray.
  const isDeepGray = depth === 16 && colour === GRAY;
  const transparent = isDeepGray || !transparency ? null : transparentColour(header, transparency);
  const sample = sampler(depth, isDeepGray);
  return (line, width, planes, start, step) => {
    planes.forEach((plane, channel) => {
      for (let i = 0, at = start; i < width * samples; i += samples, at += step) {
        const value = sample(line, i + channel);
        plane[at] = hasAlpha ? blend(value, sample(line, i + samples - 1)) : value;
      }
    });
    for (let x = 0, at = start; x < width && transparent; x++, at += step) {
      if (planes.every((plane, channel) => plane[at] === transparent[channel])) {
        for (const plane of planes) plane[at] = 0;
      }
    }
  };
}

function sampler(depth, isDeepGray) {
  if (isDeepGray) {
    return (line, i) => Math.floor((((line[2 * i] << 8) | line[2 * i + 1]) + 128) / 257);
  }
  if (depth === 16) return (line, i) => line[2 * i];
  if (depth === 8) return (line, i) => line[i];
  const scale = 255 / ((1 << depth) - 1);
  return (line, i) => scale * packed(line, i, depth);
}

function packed(line, i, depth) {
  const bit = i * depth;
  return (line[bit >> 3] >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}

function blend(value, alpha) {
  return Math.floor((value * alpha + 127) / 255);
}

function transparentColour({ depth, colour }, transparency) {
  const count = SAMPLES[colour];
  if (transparency.length < 2 * count) throw new UnreadableImage("its transparency is damaged");
  if (colour === GRAY && depth === 1) return [transparency[1] || transparency[0] ? 255 : 0];
  if (depth !== 8) {
    throw new UnreadableImage(
      "a transparent colour of this depth has two readings; save it with an alpha channel",
    );
  }
  return Array.from({ length: count }, (_, i) => transparency[2 * i + 1]);
}

function fromPalette(depth, palette, transparency) {
  if (!palette) throw new UnreadableImage("it is damaged: its palette is missing");
  const count = Math.floor(palette.length / 3);
  const colours = new Uint8Array(3 * count);
  for (let i = 0; i < colours.length; i++) {
    const alpha = transparency?.[Math.floor(i / 3)] ?? 255;
    colours[i] = blend(palette[i], alpha);
  }
  return (line, width, planes, at, step) => {
    for (let x = 0; x < width; x++, at += step) {
      const index = depth === 8 ? line[x] : packed(line, x, depth);
      if (index >= count)
        throw new UnreadableImage("it is damaged: a colour is not in its palette");
      for (let channel = 0; channel < 3; channel++)
        planes[channel][at] = colours[3 * index + channel];
    }
  };
}

async function exifOf(chunks, own) {
  if (own) return own;
  const text = await textOf(chunks, "Raw profile type exif");
  if (!text) return null;
  const digits = text.split("\n").slice(3).join("").replace(/\s/g, "");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Return the text under a key, of whichever kind of chunk. */
async function textOf(chunks, key) {
  for (const { name, content } of chunks) {
    if (!["tEXt", "zTXt", "iTXt"].includes(name)) continue;
    const end = content.indexOf(0);
    if (end < 0 || latin1(content.subarray(0, end)) !== key) continue;
    const rest = content.subarray(end + 1);
    if (name === "tEXt") return latin1(rest);
    if (name === "zTXt") return latin1(await inflate([rest.subarray(1)], MAX_TEXT));
    const start = rest.indexOf(0, rest.indexOf(0, 2) + 1) + 1;
    const text = rest.subarray(start);
    return new TextDecoder().decode(rest[0] ? await inflate([text], MAX_TEXT) : text);
  }
  return null;
}
