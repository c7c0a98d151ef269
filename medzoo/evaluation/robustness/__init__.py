"""Models on damaged images: the corruptions and scores of MedMNIST-C."""

from medzoo.evaluation.robustness.evaluate import evaluate_robustness
from medzoo.evaluation.robustness.report import CorruptionErrors, RobustnessReport

__all__ = ["CorruptionErrors", "RobustnessReport", "evaluate_robustness"]
