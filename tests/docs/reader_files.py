"""What a reader of the pages has: small data sets, photographs, folders and tables."""

import csv
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom.data
from PIL import Image

import medzoo

SETS = {
    "dermamnist": (28, 64),
    "breastmnist": (28,),
    "pneumoniamnist": (28,),
    "retinamnist": (28,),
    "octmnist": (28,),
}
SPLITS = ("train", "val", "test")
COUNTS = {"train": 48, "val": 24, "test": 24}
MANY = {"train": 240, "val": 24, "test": 24}  # of which a tenth still has every class


def write_datasets(root: Path) -> None:
    """Write small data sets, in the format and under the names of MedMNIST's files."""
    for name, sizes in SETS.items():
        counts = {
            f"n_{split}": count
            for split, count in (MANY if name == "retinamnist" else COUNTS).items()
        }
        for size in sizes:
            data = medzoo.synthetic(name, size=size, **counts)
            data.test.images[0] = data.train.images[0]  # a leak to be found
            suffix = "" if size == 28 else f"_{size}"
            write_npz(root / f"{name}{suffix}.npz", data, SPLITS)


def write_npz(path: Path, data: medzoo.Dataset, splits: Sequence[str]) -> None:
    arrays = {}
    for split in splits:
        images = getattr(data, split).images.permute(0, 2, 3, 1).numpy()
        arrays[f"{split}_images"] = images.squeeze(-1) if images.shape[-1] == 1 else images
        arrays[f"{split}_labels"] = getattr(data, split).labels.numpy().reshape(len(images), -1)
    np.savez(path, **arrays)


def write_files(folder: Path) -> None:
    """Write the images, folders and tables that the pages take for the reader's own."""
    photograph = _photographs(seed=0)
    for name in ("lesion.png", "scan.png", "new.png", "scans/one.png", "scans/two.png"):
        photograph(folder / name)
    scan = folder / "more" / "deep" / "scan.dcm"
    scan.parent.mkdir(parents=True)
    shutil.copy(pydicom.data.get_testdata_file("CT_small.dcm"), scan)
    for number in range(60):
        kind = ("benign", "malignant")[number % 2]
        photograph(folder / "moles" / kind / f"{number}.png")
        photograph(folder / "busi" / kind / f"{number}.png")
        photograph(folder / "busi" / kind / f"{number}_mask.png")
        photograph(folder / "busi" / "thumbnails" / f"{number}.png")
    moles = [
        (f"moles/{path.parent.name}/{path.name}", path.parent.name, f"patient {path.stem}")
        for path in sorted((folder / "moles").rglob("*.png"))
    ]
    _write_table(folder / "moles.csv", ("path", "label", "group"), moles)
    _write_table(folder / "lesions.csv", ("file", "dx", "lesion_id"), moles)
    two = medzoo.synthetic(task="binary-class", num_classes=2, n_train=40, n_val=20, n_test=20)
    write_npz(folder / "moles.npz", two, SPLITS)
    corrupted = medzoo.synthetic("dermamnist", n_train=1, n_val=1, n_test=24)
    write_npz(folder / "gaussian_noise.npz", corrupted, ("test",))
    rows = [(split, index) for split, count in COUNTS.items() for index in range(count)]
    lesions = [(*row, f"lesion {number // 2}") for number, row in enumerate(rows)]
    _write_table(folder / "dermamnist_lesions.csv", ("split", "index", "lesion_id"), lesions)
    own = [(*row, SPLITS[number % 3]) for number, row in enumerate(rows)]
    _write_table(folder / "my_split.csv", ("split", "index", "new_split"), own)


def _photographs(seed: int) -> Callable[[Path], None]:
    """Return a function that writes one small photograph, each different."""
    generator = np.random.default_rng(seed)

    def write(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)

    return write


def _write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
