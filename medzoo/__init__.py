"""medzoo: the model zoo for small medical images.

    import medzoo

    model = medzoo.create_model("advanced_cnn", dataset="dermamnist", pretrained=True)
    medzoo.predict(model, "lesion.png")

For research and teaching; not for clinical use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from medzoo.lazy import export_lazily
from medzoo.timm_registration import register_with_timm

__version__ = "0.1.0"

if TYPE_CHECKING:
    from medzoo import datasets as datasets
    from medzoo import device as device
    from medzoo import distributed as distributed
    from medzoo import errors as errors
    from medzoo import evaluation as evaluation
    from medzoo import images as images
    from medzoo import inference as inference
    from medzoo import models as models
    from medzoo import prediction as prediction
    from medzoo import publishing as publishing
    from medzoo import spec as spec
    from medzoo import training as training
    from medzoo import transforms as transforms
    from medzoo import weights as weights
    from medzoo.datasets import (
        Dataset,
        DatasetInfo,
        Split,
        dataset_info,
        list_datasets,
        load_dataset,
        show,
        synthetic,
    )
    from medzoo.errors import DatasetError, TrainingError, WeightsError
    from medzoo.evaluation import (
        Comparison,
        ConfidencePoint,
        OperatingPoint,
        ProbeResult,
        Report,
        RobustnessReport,
        calibrate,
        choose_confidence,
        choose_threshold,
        compare,
        evaluate,
        evaluate_robustness,
        knn_probe,
        linear_probe,
    )
    from medzoo.inference import Ensemble, fit_ood_detector, fit_temperature
    from medzoo.model_names import list_models
    from medzoo.models import create_model, save_weights
    from medzoo.prediction import Explanation, Prediction, Predictions, explain, predict
    from medzoo.publishing import push_to_hub
    from medzoo.search import SearchResult, search
    from medzoo.spec import ConformalSpec, InputSpec, ModelSpec, SelectiveSpec, spec_of
    from medzoo.training import Augmentation, Recipe, Run, Trainer, finetune, recipe_for, train
    from medzoo.transforms import create_transform

    # Last: mypy takes `evaluate` and `predict` for their modules if this comes before them.
    from medzoo import deployment as deployment  # isort: skip
    from medzoo.deployment import compile, export  # isort: skip

__all__ = [
    "Augmentation",
    "Comparison",
    "ConfidencePoint",
    "ConformalSpec",
    "Dataset",
    "DatasetError",
    "DatasetInfo",
    "Ensemble",
    "Explanation",
    "InputSpec",
    "ModelSpec",
    "OperatingPoint",
    "Prediction",
    "Predictions",
    "ProbeResult",
    "Recipe",
    "Report",
    "RobustnessReport",
    "Run",
    "SearchResult",
    "SelectiveSpec",
    "Split",
    "Trainer",
    "TrainingError",
    "WeightsError",
    "__version__",
    "calibrate",
    "choose_confidence",
    "choose_threshold",
    "compare",
    "compile",
    "create_model",
    "create_transform",
    "dataset_info",
    "evaluate",
    "evaluate_robustness",
    "explain",
    "export",
    "finetune",
    "fit_ood_detector",
    "fit_temperature",
    "knn_probe",
    "linear_probe",
    "list_datasets",
    "list_models",
    "load_dataset",
    "predict",
    "push_to_hub",
    "recipe_for",
    "save_weights",
    "search",
    "show",
    "spec_of",
    "synthetic",
    "train",
]

_HOME = {
    "datasets": (
        "Dataset",
        "DatasetInfo",
        "Split",
        "dataset_info",
        "list_datasets",
        "load_dataset",
        "show",
        "synthetic",
    ),
    "deployment": ("compile", "export"),
    "errors": ("DatasetError", "TrainingError", "WeightsError"),
    "evaluation": (
        "Comparison",
        "ConfidencePoint",
        "OperatingPoint",
        "ProbeResult",
        "Report",
        "RobustnessReport",
        "calibrate",
        "choose_confidence",
        "choose_threshold",
        "compare",
        "evaluate",
        "evaluate_robustness",
        "knn_probe",
        "linear_probe",
    ),
    "inference": ("Ensemble", "fit_ood_detector", "fit_temperature"),
    "model_names": ("list_models",),
    "models": ("create_model", "save_weights"),
    "prediction": ("Explanation", "Prediction", "Predictions", "explain", "predict"),
    "publishing": ("push_to_hub",),
    "search": ("SearchResult", "search"),
    "spec": ("ConformalSpec", "InputSpec", "ModelSpec", "SelectiveSpec", "spec_of"),
    "training": ("Augmentation", "Recipe", "Run", "Trainer", "finetune", "recipe_for", "train"),
    "transforms": ("create_transform",),
}

# Packages, and modules without top-level names, whose public functions users call as well.
_PACKAGES = (
    *(home for home in _HOME if home not in ("model_names", "search")),  # the latter: a function
    "device",
    "distributed",
    "images",
    "weights",
)
export_lazily(__name__, _HOME, _PACKAGES)
register_with_timm()
