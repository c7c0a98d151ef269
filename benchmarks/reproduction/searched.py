"""What the architecture search has found for rows of the table, for trainings with it."""

from __future__ import annotations

from typing import Any

from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile

RECORDS = ResultsFile(RESULTS / "architecture_search.json")
"""The searches, by the name of the row, as the study ``architecture_search`` writes them."""
SEARCHED = "searched"
"""Name of the variant of a row that is trained with what was found."""


def searched_changes(row: str) -> dict[str, Any]:
    """Return what was found for a row, as changes to the recipe that it is trained with.

    Args:
        row: ``"dataset/model"``.

    Raises:
        ValueError: If nothing has been searched for it.
    """
    if (search := RECORDS.find(row)) is None:
        known = ", ".join(RECORDS.read()) or "none"
        raise ValueError(
            f"there is no architecture search for {row!r}, only for: {known}; "
            "see `python -m benchmarks.studies list architecture_search`"
        )
    return dict(search["changes"])
