"""The section about damaged images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from medzoo.evaluation.figures.figure import encoded_figure
from medzoo.evaluation.figures.robustness import severity_figure
from medzoo.evaluation.report_text import digits, score_text
from medzoo.evaluation.robustness.report import LABELS, RobustnessReport
from medzoo.html import Figure, Picture, Section, Table

if TYPE_CHECKING:
    from medzoo.evaluation.report import Report


def robustness_section(report: Report, robustness: RobustnessReport | None) -> Section | None:
    """Show the errors on damaged images; None if they were not measured.

    Args:
        report: The report.
        robustness: What `medzoo.evaluate_robustness` returned for the same images.

    Raises:
        TypeError: If it is something else.
        ValueError: If other images, or decisions, were measured.
    """
    if robustness is None:
        return None
    _check_same(report, robustness)
    known = [name for name in LABELS if not math.isnan(getattr(robustness, name))]
    overall = [
        (LABELS[name], score_text(getattr(robustness, name), robustness.intervals.get(name)))
        for name in known
    ]
    has_be = "be" in known
    header = ("corruption", "family", *map(str, range(1, 6)), "mean", *(["BE", "rBE"] * has_be))
    rows = [
        (
            row["name"],
            row["family"],
            *map(digits, (*row["errors"], row["error"])),
            *(map(digits, (row["be"], row["rbe"])) if has_be else ()),
        )
        for row in robustness.corruptions
    ]
    remarks = [
        f"Damaged like {robustness.like} in MedMNIST-C, at {robustness.size} pixels. The balanced "
        "error is 1 minus the balanced accuracy."
    ]
    if has_be:
        remarks.append("BE and rBE: error and increase divided by AlexNet's at 224 pixels.")
    alt = f"Balanced error by severity; {digits(robustness.clean)} on undamaged images."
    picture = Picture(encoded_figure(severity_figure(robustness), "svg"), alt, "image/svg+xml")
    return Section(
        "Damaged images",
        tables=[
            Table(("balanced error", "value"), overall, "All corruptions"),
            Table(header, rows, "Balanced error at each severity", text_columns=2),
        ],
        figures=[Figure([picture])],
        remarks=remarks,
    )


def _check_same(report: Report, robustness: RobustnessReport) -> None:
    if not isinstance(robustness, RobustnessReport):
        raise TypeError(
            f"robustness is a {type(robustness).__name__}; give what medzoo.evaluate_robustness "
            "returned"
        )
    for name in ("title", "split", "n", "threshold"):
        own, other = getattr(report, name), getattr(robustness, name)
        if own != other:
            raise ValueError(
                f"robustness was measured with {name}={other!r}, the report with {own!r}; evaluate "
                "both with the same model, images and threshold"
            )
    error = 1 - report.balanced_acc
    if abs(robustness.clean - error) > 1e-6:
        raise ValueError(
            f"robustness has the balanced error {robustness.clean:.4f} on undamaged images, the "
            f"report {error:.4f}; evaluate both with the same model, images and options"
        )
