"""Images with which a model is calibrated and checked."""

import sys

import numpy as np
import pytest
import torch

from medzoo.datasets.storage import pages
from medzoo.datasets.storage.mmap import open_map
from medzoo.deployment.images import evenly_spaced
from tests.datasets.storage.resident import resident


def test_images_are_evenly_spaced_from_the_first_to_the_last():
    images = torch.arange(11)[:, None, None, None].byte()
    assert evenly_spaced(images, 3).flatten().tolist() == [0, 5, 10]
    assert torch.equal(evenly_spaced(images, 100), images)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps")
def test_the_rest_of_a_mapped_file_does_not_stay_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "_RELEASE_AFTER", 4 << 16)
    path = tmp_path / "images.npy"
    pixels = np.random.default_rng(0).integers(0, 256, (256, 1, 256, 256), np.uint8)
    np.save(path, pixels)
    images = torch.from_numpy(open_map(path))
    assert torch.equal(evenly_spaced(images, 256), torch.from_numpy(pixels))
    assert resident(path) < images.nbytes / 4
