// What stands around the pixels of an image file: orientation, and whether the file is complete.

import { UnreadableImage, ascii, latin1 } from "./bytes.js";

const ORIENTATION = 0x0112; // tag of EXIF
const MAX_SCANS = 100; // of a JPEG file: each is a pass over the image
const WHOLE_NUMBERS = { 1: "getUint8", 3: "getUint16", 4: "getUint32" }; // types of EXIF

/** Return the orientation that EXIF, or else XMP, says; 1 (upright) if neither does. */
export function orientationOf(exif, xmp) {
  const found = exif && exifOrientation(exif);
  if (found) return found;
  const match = xmp && /tiff:Orientation(?:="|>)([0-9])/.exec(xmp);
  return match ? Number(match[1]) : 1;
}

function exifOrientation(bytes) {
  let start = 0;
  for (let i = 0; i < 2 && ascii(bytes, start, 6) === "Exif\0\0"; i++) start += 6;
  if (bytes.length === start) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
  const order = ascii(bytes, start, 4);
  const isLittle = order === "II*\0";
  if (!isLittle && order !== "MM\0*") throw new UnreadableImage("its EXIF data are damaged");
  try {
    const directory = view.getUint32(4, isLittle);
    const count = view.getUint16(directory, isLittle);
    for (let i = 0; i < count; i++) {
      const entry = directory + 2 + 12 * i;
      if (view.getUint16(entry, isLittle) !== ORIENTATION) continue;
      const read = WHOLE_NUMBERS[view.getUint16(entry + 2, isLittle)];
      const isOne = view.getUint32(entry + 4, isLittle) === 1;
      return read && isOne ? view[read](entry + 8, isLittle) : 1;
    }
  } catch (error) {
    if (error instanceof RangeError) throw new UnreadableImage("its EXIF data are damaged");
    throw error;
  }
  return null;
}

/**
 * Walk through a JPEG file.
 *
 * @returns What the browser is to decode: the file without EXIF and colour profile, so that it
 *   neither turns nor recolours the image; and its size and orientation.
 */
export function readJpeg(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const kept = [bytes.subarray(0, 2)];
  let [exif, xmp, size, scans, at] = [null, null, null, 0, 2];
  while (at + 4 <= bytes.length) {
    if (bytes[at] !== 0xff) throw new UnreadableImage("it is damaged: a JPEG marker is missing");
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const end = at + 2 + view.getUint16(at + 2);
    if (end > bytes.length) break;
    const segment = bytes.subarray(at, end);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) size = { height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
    const content = segment.subarray(4);
    if (marker === 0xe1 && ascii(content, 0, 6) === "Exif\0\0") {
      exif = exif ? joined(exif, content.subarray(6)) : content;
    } else if (marker === 0xe1 && latin1(content).startsWith("http://ns.adobe.com/xap/1.0/\0")) {
      xmp = latin1(content);
    } else if (marker !== 0xe2) {
      kept.push(segment);
    }
    at = end;
    if (marker !== 0xda) continue;
    if (++scans > MAX_SCANS) throw new UnreadableImage(`it has more than ${MAX_SCANS} scans`);
    const next = endOfScan(bytes, at);
    kept.push(bytes.subarray(at, next));
    at = next;
    if (bytes[at + 1] === 0xd9) {
      if (!size) break;
      kept.push(bytes.subarray(at, at + 2));
      return { parts: kept, type: "image/jpeg", ...size, orientation: orientationOf(exif, xmp) };
    }
  }
  throw new UnreadableImage("it is cut off");
}

function endOfScan(bytes, start) {
  for (let at = bytes.indexOf(0xff, start); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    const marker = bytes[at + 1];
    if (marker === undefined) break;
    const isData = marker === 0 || marker === 0xff || (marker >= 0xd0 && marker <= 0xd7);
    if (!isData) return at;
  }
  throw new UnreadableImage("it is cut off");
}

/** Walk through a WebP file; see `readJpeg`. */
export function readWebp(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(4, true) + 8 > bytes.length) throw new UnreadableImage("it is cut off");
  const kept = [];
  let [exif, xmp, size] = [null, null, null];
  for (let at = 12; at + 8 <= bytes.length;) {
    const name = ascii(bytes, at, 4);
    const length = view.getUint32(at + 4, true);
    const end = at + 8 + length + (length & 1);
    if (at + 8 + length > bytes.length) throw new UnreadableImage("it is cut off");
    const content = bytes.subarray(at + 8, at + 8 + length);
    if (name === "ANIM" || name === "ANMF") {
      throw new UnreadableImage(
        "animated WebP files cannot be read in a browser; save one image as PNG",
      );
    } else if (name === "EXIF") {
      exif = content;
    } else if (name === "XMP ") {
      xmp = latin1(content);
    } else if (name === "VP8X") {
      const one = (offset) =>
        1 + content[offset] + (content[offset + 1] << 8) + (content[offset + 2] << 16);
      size = { width: one(4), height: one(7) };
      const header = bytes.slice(at, end);
      header[8] &= 0x10; // only transparency is left
      kept.push(header);
    } else if (name === "ALPH" || name === "VP8 " || name === "VP8L") {
      size ??= webpSize(name, content);
      kept.push(bytes.subarray(at, Math.min(end, bytes.length)));
    }
    at = end;
  }
  if (!size) throw new UnreadableImage("it is damaged: it has no image");
  const total = kept.reduce((sum, part) => sum + part.length, 4);
  const head = new Uint8Array(12);
  head.set(bytes.subarray(0, 12));
  new DataView(head.buffer).setUint32(4, total, true);
  const parts = [head, ...kept];
  return { parts, type: "image/webp", ...size, orientation: orientationOf(exif, xmp) };
}

function webpSize(name, content) {
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  if (content.length < 10) throw new UnreadableImage("it is damaged");
  if (name === "VP8 ") {
    return { width: view.getUint16(6, true) & 0x3fff, height: view.getUint16(8, true) & 0x3fff };
  }
  const bits = view.getUint32(1, true);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff) };
}

/** Check a GIF file, whose first image has to fill it: what is around it is not defined. */
export function readGif(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    const size = { width: view.getUint16(6, true), height: view.getUint16(8, true) };
    let at = 13 + tableBytes(bytes[10]);
    while (bytes[at] === 0x21) at = endOfBlocks(view, at + 2);
    if (bytes[at] !== 0x2c) throw new UnreadableImage("it is damaged: it has no image");
    const [left, top, width, height] = [1, 3, 5, 7].map((offset) =>
      view.getUint16(at + offset, true),
    );
    if (left || top || width !== size.width || height !== size.height) {
      throw new UnreadableImage("its first image does not fill it; save it as PNG");
    }
    endOfBlocks(view, at + 11 + tableBytes(bytes[at + 9]));
    return { parts: [bytes], type: "image/gif", ...size, orientation: 1 };
  } catch (error) {
    if (error instanceof RangeError) throw new UnreadableImage("it is cut off");
    throw error;
  }
}

function tableBytes(flags) {
  return flags & 0x80 ? 3 << ((flags & 7) + 1) : 0;
}

function endOfBlocks(view, at) {
  for (let length = view.getUint8(at); length; length = view.getUint8(at)) at += 1 + length;
  return at + 1;
}

/** Check a BMP file: only the kinds that every decoder reads alike. */
export function readBmp(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 54) throw new UnreadableImage("it is cut off");
  const [offset, header] = [view.getUint32(10, true), view.getUint32(14, true)];
  const [width, height] = [view.getInt32(18, true), Math.abs(view.getInt32(22, true))];
  const [bits, compression] = [view.getUint16(28, true), view.getUint32(30, true)];
  if (header < 40 || ![1, 4, 8, 24].includes(bits) || compression) {
    throw new UnreadableImage(
      "this kind of BMP (compressed, or of 16 or 32 bits) cannot be read in a browser; " +
        "save it as PNG",
    );
  }
  if (offset + height * 4 * Math.ceil((width * bits) / 32) > bytes.length) {
    throw new UnreadableImage("it is cut off");
  }
  return { parts: [bytes], type: "image/bmp", width, height, orientation: 1 };
}

function joined(first, second) {
  const result = new Uint8Array(first.length + second.length);
  result.set(first);
  result.set(second, first.length);
  return result;
}
