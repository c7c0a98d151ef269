"""A picture of all corruptions, on one synthetic image.

python -m benchmarks.robustness.picture
"""

from __future__ import annotations

from matplotlib.figure import Figure

import medzoo
from benchmarks.reporting.paths import IMAGES
from medzoo.images.corruptions import corruptions_for

_SHOWN = {
    name: one
    for dataset in ("tissuemnist", "pneumoniamnist", "pathmnist", "dermamnist")
    for name, one in corruptions_for(dataset).items()
}
_COLUMNS = 11


def plot() -> Figure:
    """Draw the image as it is, and damaged by each corruption at its highest severity."""
    image = medzoo.synthetic("dermamnist", n_train=1, n_val=1, n_test=1, size=128).test.images
    pictures = {"as it is": image} | {
        name: one(image, 5) for name, one in sorted(_SHOWN.items(), key=lambda item: item[1].family)
    }
    figure = Figure(figsize=(_COLUMNS * 1.15, 2 * 1.35), layout="constrained")
    for axis, (name, shown) in zip(
        figure.subplots(2, _COLUMNS).flat, pictures.items(), strict=True
    ):
        axis.imshow(shown[0].permute(1, 2, 0).numpy())
        axis.set_title(name, fontsize=7)
        axis.set_axis_off()
    return figure


if __name__ == "__main__":
    plot().savefig(IMAGES / "corruptions.webp", dpi=110)
