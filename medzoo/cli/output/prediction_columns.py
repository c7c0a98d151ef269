"""The columns of ``medzoo predict --csv``: model and options decide them, not the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medzoo.escape import for_spreadsheet


@dataclass(frozen=True)
class PredictionColumns:
    """What a table of predictions says about each file.

    Attributes:
        classes: Names of all classes; each has a column for its probability.
        sets: Whether the model gives prediction sets.
        abstains: Whether it may give no answer.
        scored: Whether it says which images are unfamiliar.
        risks: Whether it knows the risk of its answers.
    """

    classes: Sequence[str]
    sets: bool = False
    abstains: bool = False
    scored: bool = False
    risks: bool = False

    def header(self) -> list[str]:
        """Return the names of the columns."""
        sets, abstains = ["prediction_set"] * self.sets, ["abstained"] * self.abstains
        scores = ["unfamiliar", "ood_score"] * self.scored
        risks = ["risk"] * self.risks
        first, last = ["path", "label", *sets, *abstains], [*risks, *scores, "error"]
        classes = [
            f"probability of {name}" if name in {*first, *last} else for_spreadsheet(name)
            for name in self.classes
        ]
        return [*first, *classes, *last]

    def row(self, outcome: Mapping[str, Any]) -> list[object]:
        """Return the row of a file; the cells of classes that were left out are empty.

        Args:
            outcome: A prediction or a failure as JSON values; its file is ``"image"``.
        """
        path, error = (for_spreadsheet(outcome.get(name, "")) for name in ("image", "error"))
        sets = [_joined(outcome.get("prediction_set", ()))] * self.sets
        abstained = ["yes" if outcome.get("abstained") else ""] * self.abstains
        given = outcome.get("probabilities", {})
        probabilities = [given.get(name, "") for name in self.classes]
        scores = [outcome.get(name, "") for name in ("unfamiliar", "ood_score")] * self.scored
        risk = [outcome.get("risk", "")] * self.risks
        label = _joined(outcome.get("labels", ()))
        return [path, label, *sets, *abstained, *probabilities, *risk, *scores, error]


def _joined(labels: Sequence[str]) -> str:
    return ";".join(map(for_spreadsheet, labels))
