"""Where results and generated documents are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository."""

REPORTED = ROOT / "benchmarks" / "reported.toml"
"""Figures that others have reported."""

RESULTS = ROOT / "benchmarks" / "results"
"""Everything that was measured, as JSON."""

IMAGES = ROOT / "docs" / "images"
"""Plots drawn from the results."""

OUTPUT = Path("training_results")
"""Weights, logs and plots of trainings, relative to the current folder; not part of the project."""
