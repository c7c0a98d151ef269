"""Synthetic photographs for the tests of the leakage search."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def scenes(count, seed=0, channels=3, size=28):
    """Synthetic photographs: random smooth colours, all of different objects."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(size=(count, channels, 11, 11)).astype(np.float32))
    smooth = F.interpolate(coarse, size=(size, size), mode="bicubic")
    return (128 + 40 * smooth).clamp(0, 255).to(torch.uint8)


def sampled(image, *, zoom=1.0, degrees=0.0, x=0.0, y=0.0):
    """Photograph a photograph again, from another position."""
    along, across = (zoom * f(math.radians(degrees)) for f in (math.cos, math.sin))
    pose = torch.tensor([[[along, -across, x], [across, along, y]]])
    grid = F.affine_grid(pose, [1, *image.shape], align_corners=False)
    seen = F.grid_sample(image[None].float(), grid, padding_mode="reflection", align_corners=False)
    return seen[0].round().to(torch.uint8)
