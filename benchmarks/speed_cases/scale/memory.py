"""Memory: training on a file that is much larger than what may be held in memory."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import numpy as np

from benchmarks.speed_cases.measurement import OURS, Measurement, Setting
from benchmarks.timing.process import run_python

_EPOCH = """
import sys
import torch, medzoo
from benchmarks.timing.process import peak_gb
from medzoo.training import Trainer
path, folder = sys.argv[1:]
data = medzoo.load_dataset(path)
recipe = medzoo.Recipe(
    epochs=1, batch_size=128, augmentation=medzoo.Augmentation(horizontal_flip=0.5, rotation=10)
)
model = medzoo.create_model(
    "advanced_cnn",
    dataset=data,
    widths=(4, 8, 8),
    depths=(1, 1, 1),
    strides=(2, 2, 2),
    attention="",
)
Trainer(model, data, recipe, output=folder, progress=False).fit()
print(len(data.train), peak_gb())
"""
SIZE, FEW = 224, 512


def memory(setting: Setting) -> list[Measurement]:
    """Compare the peak memory of an epoch on a large file with that on a small one."""
    count = 5_000 if setting.quick else 100_000
    with tempfile.TemporaryDirectory(dir=setting.temporary) as name:
        folder = Path(name)
        peaks = {}
        for images in (FEW, count):
            path = folder / f"synthetic_{images}.npz"
            write_synthetic_file(path, images, SIZE)
            printed = run_python(
                "-W", "ignore", "-c", _EPOCH, str(path), str(folder / f"run_{images}")
            )
            peaks[images] = float(printed.split()[-1])
            path.unlink()
    return [
        Measurement(
            f"memory: opening {count:,} images of {SIZE} x {SIZE} and training an epoch",
            "GB, peak resident",
            {OURS: peaks[count], f"the same with {FEW} images": peaks[FEW]},
            peaks[count] - peaks[FEW],
            "GB",
            target=1.5,
            direction="most",
            note="over the same training on a small set, which is what model and batches need",
            details={"file_gb": count * SIZE**2 / 1024**3},
        )
    ]


def write_synthetic_file(path: Path, count: int, size: int) -> None:
    """Write a synthetic grayscale data set image by image, without holding it in memory.

    Args:
        path: The file to write, an uncompressed ``.npz``.
        count: Number of training images.
        size: Their height and width.
    """
    rng = np.random.default_rng(0)
    pool = rng.integers(0, 256, (256, size, size), dtype=np.uint8)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for split, number in (("train", count), ("val", 128), ("test", 128)):
            with archive.open(f"{split}_images.npy", "w", force_zip64=True) as stream:
                header = {"descr": "|u1", "fortran_order": False, "shape": (number, size, size)}
                np.lib.format.write_array_header_1_0(stream, header)
                for index in range(number):
                    # Shifted copies of a few images: large on disk, fast to generate.
                    stream.write(np.roll(pool[index % 256], index // 256, axis=0).tobytes())
            with archive.open(f"{split}_labels.npy", "w") as stream:
                labels = (np.arange(number) % 2).astype(np.uint8)[:, None]
                np.lib.format.write_array(stream, labels, allow_pickle=False)
