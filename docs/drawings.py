"""Drawn images that look like those of six data sets, for the landing page and the demo.

No data set's image may be shipped with the documentation, so these are drawn: soft shapes and
noise on a grid. They show what goes into a model and what comes out, not how good it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

SIZE = 224
Field = NDArray[np.float64]
Y, X = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
"""Places of the pixels, from -1 at the left and top to 1 at the right and bottom."""


def noise(seed: int, scale: int) -> Field:
    """Return smooth noise of mean 0 and standard deviation 1.

    Args:
        seed: Of the generator.
        scale: Number of random values along a side; few are large, soft spots.
    """
    values = np.random.default_rng(seed).standard_normal((scale, scale)).astype(np.float32)
    field = np.asarray(Image.fromarray(values).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    return (field - field.mean()) / field.std()


def blob(
    x: float,
    y: float,
    width: float,
    height: float | None = None,
    *,
    turn: float = 0.0,
    edge: float = 0.04,
    ragged: Field | float = 0.0,
) -> Field:
    """Return the mask of an ellipse with a soft edge, 1 inside and 0 outside.

    Args:
        x: Its centre, from the left.
        y: Its centre, from the top.
        width: Its half axis along its angle.
        height: The other half axis; by default it is round.
        turn: Its angle in radians.
        edge: How wide the edge is, as a share of the size.
        ragged: Added to the distance from the centre, relative to the size.
    """
    right, down = X - x, Y - y
    along = (np.cos(turn) * right + np.sin(turn) * down) / width
    across = (np.cos(turn) * down - np.sin(turn) * right) / (height or width)
    distance = np.hypot(along, across) + ragged
    return 1 / (1 + np.exp(np.clip((distance - 1) / edge, -40, 40)))


def paint(image: Field, colour: Sequence[float] | float, mask: Field) -> Field:
    """Return an image with a colour laid over it where a mask says so."""
    weight = mask[..., None] if image.ndim == 3 else mask
    return image * (1 - weight) + np.asarray(colour) * weight


def plain(colour: Sequence[float]) -> Field:
    """Return an image of one colour."""
    return np.ones((SIZE, SIZE, 3)) * np.asarray(colour)


def finished(image: Field, blur: float = 1.0) -> Image.Image:
    """Return pixels in 0 to 255 as an image, slightly out of focus."""
    pixels = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    return pixels.filter(ImageFilter.GaussianBlur(blur))


def skin() -> Image.Image:
    """Draw a brown spot on light skin, with a few hairs."""
    image = plain((222, 172, 160)) + 5 * noise(1, 9)[..., None] + 3 * noise(2, 90)[..., None]
    ragged = 0.09 * noise(3, 8) + 0.05 * noise(4, 24)
    image = paint(image, (160, 100, 78), blob(0, 0, 0.52, 0.42, turn=0.5, edge=0.1, ragged=ragged))
    core = blob(-0.05, -0.02, 0.36, 0.28, turn=0.4, edge=0.16, ragged=1.4 * ragged)
    image = paint(image, (104, 58, 46), 0.85 * core)
    image += (9 * noise(5, 40) * core)[..., None]
    for bend, place in ((0.25, -0.55), (-0.2, 0.62), (0.4, 0.3)):
        hair = np.exp(-(((Y - place - bend * X * X - 0.5 * X) / 0.012) ** 2))
        image = paint(image, (96, 70, 62), 0.45 * hair)
    return finished(image)


def blood() -> Image.Image:
    """Draw a white blood cell with a lobed nucleus and orange grains, among red cells."""
    image = plain((250, 226, 196)) + 1.5 * noise(1, 60)[..., None]
    for x, y in ((-0.85, -0.75), (-0.1, -0.98), (0.85, -0.72), (0.98, 0.2), (-0.98, 0.15),
                 (-0.72, 0.9), (0.15, 1.0), (0.85, 0.88)):  # fmt: skip
        image = paint(image, (214, 160, 160), blob(x, y, 0.27, edge=0.05))
        image = paint(image, (236, 200, 186), 0.7 * blob(x, y, 0.12, edge=0.3))
    cell = blob(0, 0, 0.6, 0.56, edge=0.03, ragged=0.02 * noise(2, 7))
    image = paint(image, (222, 142, 142), cell)
    image += (16 * noise(3, 60) * cell)[..., None] * np.array((0.6, 1.0, 0.9))
    for x, y, width, height, turn in ((0.1, -0.22, 0.3, 0.22, 0.4), (0.14, 0.24, 0.28, 0.21, -0.5)):
        lobe = blob(x, y, width, height, turn=turn, edge=0.06, ragged=0.04 * noise(4, 9))
        image = paint(image, (92, 46, 140), lobe)
        image += (9 * noise(5, 34) * lobe)[..., None]
    return finished(image)


def chest() -> Image.Image:
    """Draw an X-ray of a chest: ribs, spine, heart and two lungs, one of them clouded."""
    body = 140 + 6 * noise(1, 6) + 3 * noise(2, 100)
    image = body * blob(0, 0.35, 1.08, 1.5, edge=0.04)
    image = paint(image, 185, 0.55 * np.exp(-((X / 0.13) ** 2)))
    for side, width in ((-1, 0.33), (1, 0.3)):
        lung = blob(0.47 * side, -0.02, width, 0.72, turn=0.16 * side, edge=0.1)
        lung *= 1 / (1 + np.exp((Y - 0.52 - 0.5 * (np.abs(X) - 0.4) ** 2) / 0.03))
        image = paint(image, 46 + 7 * noise(3, 26), 0.92 * lung)
        vessels = np.exp(-(((X - 0.2 * side) / 0.16) ** 2) - ((Y - 0.05) / 0.35) ** 2)
        image += 30 * vessels * lung
    for number in range(8):
        rib = Y - (-0.8 + 0.19 * number) - 0.28 * (np.abs(X) - 0.45) ** 2 + 0.1 * np.abs(X)
        image += 15 * np.exp(-((rib / 0.028) ** 2)) * (np.abs(X) > 0.13) * (np.abs(X) < 0.85)
    cloud = blob(-0.44, 0.1, 0.3, 0.38, edge=0.3, ragged=0.16 * noise(4, 9))
    image = paint(image, 158 + 9 * noise(5, 22), 0.72 * cloud)
    image = paint(image, 190, 0.85 * blob(0.14, 0.36, 0.3, 0.3, turn=0.5, edge=0.12))
    image = paint(image, 205, 0.8 / (1 + np.exp(-(Y - 0.66 + 0.25 * np.abs(X)) / 0.03)))
    for side in (-1, 1):
        collar = Y + 0.83 - 0.16 * (X * side - 0.1)
        image += 35 * np.exp(-((collar / 0.03) ** 2)) * (X * side > 0.08) * (X * side < 0.8)
    return finished(image, 1.6)


def retina() -> Image.Image:
    """Draw a section of a retina: layers, and below them a row of hills."""
    speckle = noise(1, 150)
    hills = sum(
        height * np.exp(-(((X - place) / 0.09) ** 2))
        for place, height in ((-0.6, 0.07), (-0.25, 0.09), (0.12, 0.1), (0.45, 0.07), (0.75, 0.05))
    )
    bottom = 0.2 + 0.06 * X * X
    pigment = bottom - hills
    top = -0.18 + 0.05 * X * X + 0.14 * np.exp(-((X / 0.28) ** 2)) - 0.4 * hills

    def line(place: Field, width: float) -> Field:
        return np.exp(-(((Y - place) / width) ** 2))

    def between(upper: Field, lower: Field) -> Field:
        return 1 / (1 + np.exp(-(Y - upper) / 0.012)) / (1 + np.exp((Y - lower) / 0.012))

    image = 16 + 0 * X
    image += 62 * between(top, pigment) + 70 * line(top + 0.03, 0.035)
    image += 30 * line(top * 0.45 + pigment * 0.55, 0.03)
    image += 95 * line(pigment - 0.075, 0.016) + 150 * line(pigment, 0.032)
    image += 60 * between(pigment, bottom + 0.03)
    image += 90 * np.exp(-np.clip((Y - bottom) / 0.2, 0, None)) * between(bottom, bottom + 2)
    return finished(image * (1 + 0.28 * speckle) + 7 * speckle, 0.9)


def breast() -> Image.Image:
    """Draw an ultrasound image of layers of tissue around a dark oval."""
    image = 118 - 45 * np.clip(Y, -0.2, 1) + 14 * noise(1, 7)
    stripes = noise(2, 40)
    stripes = np.asarray(Image.fromarray(stripes.astype(np.float32)).resize((SIZE * 3, SIZE)))
    image += 17 * stripes[:, :SIZE]
    image += 42 * np.exp(-(((Y + 0.62 - 0.05 * X) / 0.06) ** 2))
    image += 30 * np.exp(-(((Y + 0.86 + 0.03 * X) / 0.05) ** 2))
    mass = blob(0.02, -0.12, 0.42, 0.24, turn=0.05, edge=0.06, ragged=0.03 * noise(3, 6))
    image = paint(image, 26 + 4 * noise(4, 40), 0.95 * mass)
    below = np.exp(-((X / 0.34) ** 2)) / (1 + np.exp(-(Y - 0.12) / 0.04))
    image += 40 * below
    return finished(image * (1 + 0.16 * noise(5, 130)), 1.0)


def fundus() -> Image.Image:
    """Draw a photograph of a retina: a bright disc, branching vessels and a few small spots."""
    image = plain((176, 84, 40)) + 8 * noise(1, 7)[..., None] + 3 * noise(2, 60)[..., None]
    image = paint(image, (120, 48, 24), 0.5 * blob(-0.28, 0.02, 0.3, edge=0.5))
    disc = blob(0.42, 0, 0.17, 0.19, edge=0.12)
    image = paint(image, (240, 176, 96), disc)
    image = paint(image, (255, 226, 160), 0.8 * blob(0.42, 0, 0.08, edge=0.3))
    for side in (-1, 1):
        for reach, height, width in ((1.5, 0.62, 0.022), (0.55, 0.42, 0.013), (-0.75, 0.7, 0.017)):
            along = np.clip((0.42 - X) / reach, 0, 1.2)  # 0 at the disc
            arc = side * height * np.sin(np.pi * np.sqrt(along) / 1.6) + 0.02 * noise(3, 9)
            vessel = np.exp(-(((Y - arc) / (width * (1.4 - 0.6 * along))) ** 2)) * (along > 0)
            image = paint(image, (104, 26, 18), 0.75 * vessel)
    for x, y, size in ((-0.5, -0.25, 0.025), (-0.1, 0.36, 0.03), (-0.42, 0.3, 0.02)):
        image = paint(image, (96, 20, 16), 0.8 * blob(x, y, size, edge=0.3))
    for x, y in ((-0.02, -0.2), (-0.06, -0.15), (-0.12, -0.22)):
        image = paint(image, (236, 196, 110), 0.8 * blob(x, y, 0.022, edge=0.3))
    light = blob(0, 0, 0.95, edge=0.02) * (1 - 0.35 * np.hypot(X, Y) ** 2)
    return finished(image * light[..., None], 0.9)


DRAWINGS: Mapping[str, Callable[[], Image.Image]] = {
    "dermamnist": skin,
    "bloodmnist": blood,
    "pneumoniamnist": chest,
    "octmnist": retina,
    "retinamnist": fundus,
    "breastmnist": breast,
}
"""By the data set that each imitates."""
