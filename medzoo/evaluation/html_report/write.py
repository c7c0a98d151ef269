"""Putting the sections of a report together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from medzoo.datasets import Split
from medzoo.evaluation.html_report.errors import Explainer, error_section
from medzoo.evaluation.html_report.provenance import provenance_section, versions
from medzoo.evaluation.html_report.robustness import robustness_section
from medzoo.evaluation.html_report.sections import (
    class_section,
    confusion_section,
    curve_section,
    group_section,
    reliability_section,
    score_section,
    selective_section,
    set_section,
)
from medzoo.evaluation.report_text import size_of
from medzoo.html import Section, card, page

if TYPE_CHECKING:
    from medzoo.evaluation.report import Report
    from medzoo.evaluation.robustness import RobustnessReport

SECTIONS: tuple[Callable[[Report], Section | None], ...] = (
    score_section,
    class_section,
    curve_section,
    confusion_section,
    reliability_section,
    selective_section,
    set_section,
    group_section,
)
"""What a page shows first, in this order; None if there is nothing."""


def report_page(
    report: Report,
    images: Split | None = None,
    explain: Explainer | None = None,
    robustness: RobustnessReport | None = None,
) -> str:
    """Return a report as a page; see `Report.to_html`.

    Args:
        report: The report.
        images: The images that were scored.
        explain: Draws heat maps of the errors.
        robustness: Errors of the same model on damaged copies of the images.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If `images` is not a split, or `robustness` not such a report.
        ValueError: If `images` or `robustness` are not of what was scored, or an argument needs
            another.
    """
    errors = error_section(report, images, explain)
    damaged = robustness_section(report, robustness)
    sections = [*(make(report) for make in SECTIONS), damaged, errors, provenance_section(report)]
    name = report.model.get("name") or report.model.get("architecture") or "a model"
    return page(
        f"{report.title}, {report.split} split",
        f"{name} on {size_of(report)}.",
        [section for section in sections if section is not None],
        f"Written with {versions()}.",
    )


def report_card(report: Report) -> str:
    """Return what notebooks show of a report: its scores, and those of each class.

    Args:
        report: The report.
    """
    return card(
        f"{report.title}, {report.split} split: {size_of(report)}",
        [score_section(report), class_section(report)],
    )
