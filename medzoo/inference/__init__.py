"""Running a model over many images: batches, precision, views, calibration."""

from medzoo.inference.calibration import fit_temperature
from medzoo.inference.model import Model, logits_of
from medzoo.inference.run import predict_logits, probabilities, split_logits
from medzoo.inference.tta import TTA

__all__ = [
    "TTA",
    "Model",
    "fit_temperature",
    "logits_of",
    "predict_logits",
    "probabilities",
    "split_logits",
]
