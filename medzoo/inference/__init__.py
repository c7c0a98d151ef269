"""Running a model over many images: batches, precision, views, ensembles, calibration."""

from medzoo.inference.calibration import fit_temperature
from medzoo.inference.ensemble import Ensemble
from medzoo.inference.input_adapter import InputAdapter
from medzoo.inference.model import Model, logits_of
from medzoo.inference.ood import fit_ood_detector
from medzoo.inference.options import InferenceOptions, SplitOptions
from medzoo.inference.run import predict_logits, probabilities, split_logits
from medzoo.inference.tta import TTA, average_logits

__all__ = [
    "TTA",
    "Ensemble",
    "InferenceOptions",
    "InputAdapter",
    "Model",
    "SplitOptions",
    "average_logits",
    "fit_ood_detector",
    "fit_temperature",
    "logits_of",
    "predict_logits",
    "probabilities",
    "split_logits",
]
