// Small helpers for reading files.

/** An image that cannot be read, or not exactly as Python reads it; the message says why. */
export class UnreadableImage extends Error {
  name = "UnreadableImage";
}

export function ascii(bytes, start, length) {
  return String.fromCharCode(...bytes.subarray(start, start + length));
}

export function latin1(bytes) {
  return new TextDecoder("latin1").decode(bytes);
}

/**
 * Decompress zlib data.
 *
 * @param {Uint8Array[]} parts The compressed data.
 * @param {number} limit Bytes that the result may have.
 */
export async function inflate(parts, limit) {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser is too old to read PNG files exactly; update it");
  }
  const reader = new Blob(parts)
    .stream()
    .pipeThrough(new DecompressionStream("deflate"))
    .getReader();
  const chunks = [];
  let total = 0;
  try {
    for (let one = await reader.read(); !one.done; one = await reader.read()) {
      chunks.push(one.value);
      total += one.value.length;
      if (total > limit) break;
    }
  } catch {
    throw new UnreadableImage("its compressed data are damaged or cut off");
  } finally {
    reader.cancel().catch(() => {});
  }
  if (total > limit) throw new UnreadableImage("it has more data than its header says");
  const result = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    result.set(chunk, at);
    at += chunk.length;
  }
  return result;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, start) => {
  let value = start;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** The checksum of PNG's chunks. */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (let i = 0; i < bytes.length; i++)
    value = CRC_TABLE[(value ^ bytes[i]) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
