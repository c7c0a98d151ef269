"""What a process costs: its start, and its memory when the data are large."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import OURS, Measurement

from works.setting import Setting

_TORCH = "import torch"
_IMPORT = "import torch, medzoo"
_CREATE = """
import time, torch, timm, medzoo
import medzoo.models, medzoo.weights
start = time.perf_counter()
medzoo.create_model("advanced_cnn", dataset="dermamnist", pretrained=True)
print(time.perf_counter() - start)
"""
_IMPORT_TIME = """
import time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""
_EPOCH = """
import resource, sys
import torch, medzoo
from medzoo.training import Trainer
path, folder = sys.argv[1:]
data = medzoo.load_dataset(path)
recipe = medzoo.Recipe(
    epochs=1, batch_size=128, augmentation=medzoo.Augmentation(horizontal_flip=0.5, rotation=10)
)
model = medzoo.create_model(
    "advanced_cnn", dataset=data, widths=(4, 8, 8), depths=(1, 1, 1), strides=(2, 2, 2), attention=""
)
Trainer(model, data, recipe, output=folder, progress=False).fit()
print(len(data.train), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2)
"""
SIZE, FEW = 224, 512


def start_up(setting: Setting) -> list[Measurement]:
    """Measure importing the library and making a pretrained model, in fresh processes."""
    repeats = 3 if setting.quick else 7
    _run(_IMPORT)  # so that no file is read from disk for the first time
    seconds: dict[str, list[float]] = {_TORCH: [], _IMPORT: [], _CREATE: []}
    for _ in range(repeats):
        for statement in (_TORCH, _IMPORT):
            seconds[statement].append(float(_run(_IMPORT_TIME.format(statement=statement))))
        seconds[_CREATE].append(float(_run(_CREATE)))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return [
        Measurement(
            "import medzoo, over import torch",
            "s",
            {OURS: medians[_IMPORT], "import torch alone": medians[_TORCH]},
            medians[_IMPORT] - medians[_TORCH],
            "s",
            target=0.3,
            direction="most",
            note="difference of medians of fresh processes",
        ),
        Measurement(
            'create_model("advanced_cnn", dataset="dermamnist", pretrained=True)',
            "s",
            {OURS: medians[_CREATE]},
            medians[_CREATE],
            "s",
            target=0.5,
            direction="most",
            note="first call of a process, after the imports, weights in the file cache",
        ),
    ]


def memory(setting: Setting) -> list[Measurement]:
    """Compare peak memory of an epoch on a large set of large images with that on a small one."""
    count = 5_000 if setting.quick else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peaks = {}
        for images in (FEW, count):
            path = folder / f"made_up_{images}.npz"
            _write(path, images)
            printed = _run(_EPOCH, str(path), str(folder / f"run_{images}"))
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


def _write(path: Path, count: int) -> None:
    """Write a made-up gray set, image by image as it is drawn, never all of it in memory."""
    import zipfile

    rng = np.random.default_rng(0)
    pool = rng.integers(0, 256, (256, SIZE, SIZE), dtype=np.uint8)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for split, number in (("train", count), ("val", 128), ("test", 128)):
            with archive.open(f"{split}_images.npy", "w", force_zip64=True) as stream:
                header = {"descr": "|u1", "fortran_order": False, "shape": (number, SIZE, SIZE)}
                np.lib.format.write_array_header_1_0(stream, header)
                for index in range(number):
                    # Shifted copies of a few images: large on disk, quick to make.
                    stream.write(np.roll(pool[index % 256], index // 256, axis=0).tobytes())
            with archive.open(f"{split}_labels.npy", "w") as stream:
                labels = (np.arange(number) % 2).astype(np.uint8)[:, None]
                np.lib.format.write_array(stream, labels, allow_pickle=False)


def _run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"a measured process failed:\n{done.stderr}")
    return done.stdout
