"""The synthetic file of the memory case."""

import torch

import medzoo
from benchmarks.speed_cases.scale import memory


def test_synthetic_set_on_disk_can_be_opened(tmp_path):
    memory.write_synthetic_file(tmp_path / "synthetic.npz", 300, 16)
    data = medzoo.load_dataset(tmp_path / "synthetic.npz")
    assert data.train.images.shape == (300, 1, 16, 16)
    assert not torch.equal(data.train.images[0], data.train.images[256])
