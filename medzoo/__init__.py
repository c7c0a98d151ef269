"""medzoo: the model zoo for small medical images.

    import medzoo

    model = medzoo.create_model("advanced_cnn", dataset="dermamnist", pretrained=True)
    medzoo.predict(model, "lesion.png")

For research and teaching; not for clinical use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medzoo.timm_registration import register_with_timm

__version__ = "0.1.0"

if TYPE_CHECKING:
    from medzoo.datasets import (
        Dataset,
        DatasetInfo,
        Split,
        dataset_info,
        list_datasets,
        load_dataset,
        synthetic,
    )
    from medzoo.errors import DatasetError, TrainingError, WeightsError
    from medzoo.evaluation import ProbeResult, Report, evaluate, knn_probe, linear_probe
    from medzoo.inference import Ensemble, fit_temperature
    from medzoo.models import create_model, list_models, save_weights
    from medzoo.prediction import Explanation, Prediction, Predictions, explain, predict
    from medzoo.publishing import push_to_hub
    from medzoo.spec import InputSpec, ModelSpec, spec_of
    from medzoo.training import Augmentation, Recipe, Run, Trainer, finetune, recipe_for, train
    from medzoo.transforms import create_transform

    # Last: mypy takes `evaluate` and `predict` for their modules if this comes before them.
    from medzoo.deployment import compile, export  # isort: skip

# Imported on first use, so that `import medzoo` itself costs next to nothing.
_HOME = {
    "datasets": (
        "Dataset",
        "DatasetInfo",
        "Split",
        "dataset_info",
        "list_datasets",
        "load_dataset",
        "synthetic",
    ),
    "deployment": ("compile", "export"),
    "errors": ("DatasetError", "TrainingError", "WeightsError"),
    "evaluation": ("ProbeResult", "Report", "evaluate", "knn_probe", "linear_probe"),
    "inference": ("Ensemble", "fit_temperature"),
    "models": ("create_model", "list_models", "save_weights"),
    "prediction": ("Explanation", "Prediction", "Predictions", "explain", "predict"),
    "publishing": ("push_to_hub",),
    "spec": ("InputSpec", "ModelSpec", "spec_of"),
    "training": ("Augmentation", "Recipe", "Run", "Trainer", "finetune", "recipe_for", "train"),
    "transforms": ("create_transform",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Augmentation",
    "Dataset",
    "DatasetError",
    "DatasetInfo",
    "Ensemble",
    "Explanation",
    "InputSpec",
    "ModelSpec",
    "Prediction",
    "Predictions",
    "ProbeResult",
    "Recipe",
    "Report",
    "Run",
    "Split",
    "Trainer",
    "TrainingError",
    "WeightsError",
    "__version__",
    "compile",
    "create_model",
    "create_transform",
    "dataset_info",
    "evaluate",
    "explain",
    "export",
    "finetune",
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
    "spec_of",
    "synthetic",
    "train",
]


# Packages and modules without top-level names, whose public functions users call as well.
_MODULES = {*_HOME, "device", "distributed", "images", "weights"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"medzoo.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'medzoo' has no attribute {name!r}")
    value = getattr(import_module(f"medzoo.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


register_with_timm()
