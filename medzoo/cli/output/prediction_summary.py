"""The summary of ``medzoo predict --csv``: it needs no more memory for more images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from medzoo.cli.output.table import table
from medzoo.escape import for_display

if TYPE_CHECKING:
    from medzoo.prediction import Failure, Prediction

_SHOWN = 5  # files that could not be read


class PredictionSummary:
    """How often each class is the answer, and what could not be read.

    Args:
        classes: Names of all classes.

    Attributes:
        predicted: Number of images that were predicted.
        failed: Number of images that could not be read.
        first_failures: The first of these.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self.predicted = self.failed = 0
        self.first_failures: list[Failure] = []
        self._labels: Counter[str] = Counter()
        self._unlabelled = self._unsure = self._unfamiliar = 0

    def add(self, outcomes: Iterable[Prediction | Failure]) -> None:
        """Count images.

        Args:
            outcomes: Predictions and failures.
        """
        from medzoo.prediction import Failure

        for one in outcomes:
            if isinstance(one, Failure):
                self.failed += 1
                if len(self.first_failures) < _SHOWN:
                    self.first_failures.append(one)
                continue
            self.predicted += 1
            self._unfamiliar += bool(one.unfamiliar)
            self._unsure += one.abstained
            self._unlabelled += not (one.labels or one.abstained)
            self._labels.update(one.labels)

    def text(self, path: str) -> str:
        """Return the summary.

        Args:
            path: The table.
        """
        counts = [(name, self._labels[name]) for name in self.classes]
        if self._unlabelled:  # multi-label, and no label is above the threshold
            counts.append(("(none)", self._unlabelled))
        if self._unsure:
            counts.append(("(no answer)", self._unsure))
        lines = [f"images predicted: {self.predicted:,}; could not be read: {self.failed:,}"]
        lines += [table(("class", "images"), counts, numbers="images")]
        if self._unfamiliar:
            lines += ["", f"unlike the images that the model was trained on: {self._unfamiliar:,}"]
        if self.failed:
            unread = (for_display(failure.source) for failure in self.first_failures)
            lines += ["", "could not be read:", *unread]
        if self.failed > _SHOWN:
            lines.append(f"... and {self.failed - _SHOWN:,} more; the table has all of them")
        return "\n".join([*lines, "", f"table: {path}"])
