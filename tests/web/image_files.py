"""Image files of odd sizes, modes and formats, made from pixels of any origin."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, PngImagePlugin

ORIENTATION = 0x0112


def textured(height: int, width: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    """Structures of all sizes, as photographs have them; uint8 (H, W, channels)."""
    generator = np.random.default_rng(seed)
    total = np.zeros((height, width, channels))
    for cells in (2, 5, 13, 40):
        coarse = generator.standard_normal((cells, cells, channels)).astype(np.float32)
        planes = [
            Image.fromarray(coarse[..., channel]).resize((width, height), Image.Resampling.BICUBIC)
            for channel in range(channels)
        ]
        total += np.stack([np.asarray(plane) for plane in planes], -1) / cells**0.5
    total += generator.standard_normal(total.shape) * 0.05
    return np.clip(128 + 50 * total, 0, 255).astype(np.uint8)


def encode(image: Image.Image, format_: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    values = Image.Exif()
    values[ORIENTATION] = orientation
    return values.tobytes()


def png_of(rows: np.ndarray, width: int, depth: int, colour: int, *extra: tuple[str, bytes]):
    """A PNG file from raw rows of bytes, for what Pillow does not write."""

    def chunk(name: str, content: bytes) -> bytes:
        body = name.encode() + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = [("IHDR", header), *extra, ("IDAT", data), ("IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def interlaced(pixels: np.ndarray) -> bytes:
    """An interlaced PNG (Adam7), RGB; Pillow reads these and does not write them."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4)]
    passes += [(1, 0, 2, 2), (0, 1, 1, 2)]
    data = b""
    for x, y, dx, dy in passes:
        part = pixels[y::dy, x::dx]
        if part.size:
            data += b"".join(b"\0" + row.tobytes() for row in part)
    height, width = pixels.shape[:2]
    plain = png_of(pixels.reshape(height, -1), width, 8, 2)
    start = plain.index(b"IHDR")
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    content = zlib.compress(data)
    body = b"IDAT" + content
    return (
        plain[:start]
        + header
        + struct.pack(">I", zlib.crc32(header))
        + struct.pack(">I", len(content))
        + body
        + struct.pack(">I", zlib.crc32(body))
        + plain[plain.index(b"IEND") - 4 :]
    )


def readable(pixels: Callable[[int, int], np.ndarray]) -> Iterator[tuple[str, bytes]]:
    """Files that browsers have to read as Python does.

    Args:
        pixels: Gives RGB pixels (H, W, 3) of a height and a width.
    """
    rgb = Image.fromarray(pixels(97, 61))
    wide = Image.fromarray(pixels(48, 131))
    gray = wide.convert("L")
    alpha = Image.fromarray(textured(97, 61, 7, 1)[..., 0])
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    deep = (np.asarray(gray).astype(np.uint16) << 8) + np.arange(131, dtype=np.uint16)

    for height, width in [(28, 28), (1, 1), (3, 2), (29, 28), (200, 333), (64, 63)]:
        yield f"rgb-{width}x{height}.png", encode(Image.fromarray(pixels(height, width)), "PNG")
    yield "one-pixel-wide.png", encode(Image.fromarray(pixels(300, 1)), "PNG")
    yield "one-pixel-high.png", encode(Image.fromarray(pixels(1, 300)).convert("L"), "PNG")
    yield "huge.png", encode(Image.fromarray(pixels(1500, 2100)), "PNG", compress_level=1)
    yield "gray.png", encode(gray, "PNG")
    yield "black-and-white.png", encode(gray.convert("1"), "PNG")
    yield "palette.png", encode(rgb.quantize(200), "PNG")
    yield "palette-of-16.png", encode(rgb.quantize(16), "PNG", bits=4)
    yield "palette-transparent.png", encode(rgb.quantize(9), "PNG", transparency=3)
    alphas = bytes(range(0, 250, 25))
    yield "palette-translucent.png", encode(rgb.quantize(10), "PNG", transparency=alphas)
    yield "gray-transparent.png", encode(gray, "PNG", transparency=120)
    yield "rgb-transparent.png", encode(rgb, "PNG", transparency=rgb.getpixel((30, 40)))
    yield "rgba.png", encode(rgba, "PNG")
    yield "la.png", encode(rgba.convert("LA"), "PNG")
    yield "gray-16.png", encode(Image.fromarray(deep), "PNG")
    colours = np.asarray(rgb).astype(">u2") * 256 + 129
    yield "rgb-16.png", png_of(colours.reshape(97, -1), 61, 16, 2)
    with_alpha = np.dstack([colours, np.asarray(alpha).astype(">u2") * 257]).astype(">u2")
    yield "rgba-16.png", png_of(with_alpha.reshape(97, -1), 61, 16, 6)
    yield "la-16.png", png_of(with_alpha[..., 2:].reshape(97, -1), 61, 16, 4)
    quarters = np.packbits(np.unpackbits(np.asarray(gray)[:, :128], axis=1)[:, ::2], axis=1)
    yield "gray-4.png", png_of(quarters, 128, 4, 0)
    yield "gray-2.png", png_of(quarters[:, :32], 128, 2, 0)
    yield "interlaced.png", interlaced(np.asarray(rgb))
    yield "interlaced-tiny.png", interlaced(np.asarray(rgb)[:2, :3])
    yield (
        "gamma.png",
        png_of(np.asarray(rgb).reshape(97, -1), 61, 8, 2, ("gAMA", struct.pack(">I", 100_000))),
    )
    yield "turned.png", encode(wide, "PNG", exif=exif(6))
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>', zip=True)
    yield "turned-by-xmp.png", encode(wide, "PNG", pnginfo=text)
    text = PngImagePlugin.PngInfo()
    digits = exif(8).hex()
    text.add_text("Raw profile type exif", f"\nexif\n{len(digits) // 2:8}\n{digits}\n", zip=True)
    yield "turned-by-text.png", encode(wide, "PNG", pnginfo=text)

    for name, image in (("rgb", rgb), ("wide", wide), ("gray", gray)):
        for quality in (30, 92):
            yield f"{name}-{quality}.jpg", encode(image, "JPEG", quality=quality)
    yield "full-colour.jpg", encode(rgb, "JPEG", quality=85, subsampling="4:4:4")
    yield "half-colour.jpg", encode(rgb, "JPEG", quality=85, subsampling="4:2:2")
    yield "progressive.jpg", encode(wide, "JPEG", quality=80, progressive=True)
    yield "cmyk.jpg", encode(rgb.convert("CMYK"), "JPEG", quality=95)
    yield "photograph.jpg", encode(Image.fromarray(pixels(1200, 1600)), "JPEG", quality=85)
    for orientation in range(1, 9):
        turned = encode(wide, "JPEG", quality=90, exif=exif(orientation))
        yield f"turned-{orientation}.jpg", turned
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    yield "profile.jpg", encode(rgb, "JPEG", quality=90, icc_profile=profile)
    yield "lossless.webp", encode(rgb, "WEBP", lossless=True)
    yield "lossy.webp", encode(wide, "WEBP", quality=70)
    yield "rgba.webp", encode(rgba, "WEBP", lossless=True, exact=True)
    yield "rgba-lossy.webp", encode(rgba, "WEBP", quality=80)
    yield "turned.webp", encode(wide, "WEBP", quality=80, exif=exif(5))
    yield "rgb.bmp", encode(rgb, "BMP")
    yield "gray.bmp", encode(gray, "BMP")
    yield "palette.bmp", encode(rgb.quantize(100), "BMP")
    yield "rgb.gif", encode(rgb, "GIF")
    yield "transparent.gif", encode(rgb.quantize(20), "GIF", transparency=4)
    frames = [rgb, Image.new("RGB", rgb.size, "red")]
    yield "animation.gif", encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "animation.png", encode(frames[0], "PNG", save_all=True, append_images=frames[1:])


def unreadable() -> Iterator[tuple[str, bytes, str]]:
    """Files that browsers have to refuse, and a part of the reason."""
    rgb = Image.fromarray(textured(50, 40))
    png, jpeg = encode(rgb, "PNG"), encode(rgb, "JPEG")
    webp, gif, bmp = encode(rgb, "WEBP"), encode(rgb, "GIF"), encode(rgb, "BMP")
    yield "image.tif", encode(rgb, "TIFF"), "TIFF files cannot be read in a browser"
    yield "scan.dcm", b"\0" * 128 + b"DICM" + b"\0" * 100, "DICOM files cannot be read"
    yield "text.png", b"no image at all", "unknown format"
    yield "empty.png", b"", "unknown format"
    yield "rgba.bmp", encode(rgb.convert("RGBA"), "BMP"), "this kind of BMP"
    yield (
        "animation.webp",
        encode(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)]),
        "animated WebP",
    )
    yield (
        "transparent-4.png",
        png_of(np.zeros((8, 4), np.uint8), 8, 4, 0, ("tRNS", b"\0\5")),
        ("two readings"),
    )
    yield (
        "palette-short.png",
        png_of(np.full((4, 4), 9, np.uint8), 4, 8, 3, ("PLTE", bytes(6))),
        ("not in its palette"),
    )
    for name, content in [
        ("png", png),
        ("jpg", jpeg),
        ("webp", webp),
        ("gif", gif),
        ("bmp", bmp),
    ]:
        yield f"cut-off.{name}", content[: len(content) * 2 // 3], "it is cut off"
    damaged = bytearray(png)
    damaged[len(png) // 2] ^= 255
    yield "damaged.png", bytes(damaged), "wrong checksum of IDAT"
    header = bytearray(jpeg)
    start = jpeg.index(b"\xff\xc0") + 5
    header[start : start + 4] = struct.pack(">HH", 60_000, 60_000)
    yield "bomb.jpg", bytes(header), "60000 x 60000 pixels"
    yield (
        "bomb.png",
        png_of(np.zeros((1, 3), np.uint8), 1, 8, 2).replace(
            struct.pack(">II", 1, 1), struct.pack(">II", 1, 1)
        )[:8]
        + _bomb(),
        "pixels, expected",
    )


def _bomb() -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    end = b"\0\0\0\0IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + end
