"""What a model is: its architecture, its classes, its input and its calibration."""

from medzoo.spec.carrier import SpecCarrier
from medzoo.spec.checks import check_temperature
from medzoo.spec.conformal import ConformalMethod, ConformalSpec
from medzoo.spec.find import find_spec, input_of_timm, network_of, spec_of
from medzoo.spec.input import InputSpec
from medzoo.spec.model import ModelSpec
from medzoo.spec.selective import SelectiveSpec

__all__ = [
    "ConformalMethod",
    "ConformalSpec",
    "InputSpec",
    "ModelSpec",
    "SelectiveSpec",
    "SpecCarrier",
    "check_temperature",
    "find_spec",
    "input_of_timm",
    "network_of",
    "spec_of",
]
