"""The trials of ablations.py: each changes one point of a base recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

BACKBONE = "training_results/medmnist/models/advanced_cnn.medmnist.safetensors"  # by backbone.py
SMALL = {"widths": (32, 64, 128, 256), "depths": (1, 1, 1, 1), "strides": (1, 2, 2, 2)}
SHALLOW = {"widths": (48, 128, 264), "depths": (1, 1, 1), "strides": (1, 2, 2)}
WIDE = {"widths": (48, 128, 272, 384), "depths": (1, 1, 2, 1)}
BASE: Mapping[str, Any] = {
    "epochs": 12,
    "optimizer": "muon",
    "learning_rate": 0.02,
    "weight_decay": 0.05,
    "warmup": 0.1,
    "label_smoothing": 0.05,
    "ema_decay": 0.99,
    "augmentation": {
        "horizontal_flip": 0.5,
        "vertical_flip": 0.5,
        "rotation": 15,
        "scale": 0.1,
        "shift": 0.05,
        "brightness": 0.0,
        "contrast": 0.0,
        "mixup": 0.0,
        "mix_probability": 0.0,
    },
    "model_args": {**SMALL, "drop_rate": 0.0},
}
"""The recipe that trials change: a narrow advanced_cnn, so that many can be tried."""
BASES: Mapping[str, Mapping[str, Any]] = {
    "dermamnist": {},
    "breastmnist": {"epochs": 20, "batch_size": 64, "augmentation": {"vertical_flip": 0.0}},
    "retinamnist": {"epochs": 20, "batch_size": 64, "augmentation": {"vertical_flip": 0.0}},
    "pneumoniamnist": {"epochs": 20, "augmentation": {"vertical_flip": 0.0}},
}
"""What is different in it for each data set."""
SMALL_SETS = ("breastmnist", "retinamnist")


@dataclass(frozen=True)
class Member:
    """One model of several that answer together.

    Attributes:
        seed: Of its training.
        view: What it sees, a key of `views.VIEWS`; empty for the images as they are.
        model: Name of its architecture.
    """

    seed: int
    view: str = ""
    model: str = "simple_cnn"


@dataclass(frozen=True)
class Trial:
    """One change to a base recipe.

    Attributes:
        group: What kind of change it is.
        name: The change, as a reader of the table sees it.
        changes: To the fields of `BASE`.
        dataset: What it is trained on.
        model: Name of the architecture.
        size: Of the images that it is trained on.
        evaluated: Size of the images that it is validated on, if another: smaller ones are scaled
            up to the size it was trained on, larger ones stay as they are.
        high_res: Size of the training images at which random changes are made; 0 for the usual one.
        teachers: How many models of other seeds are trained first and then teach together, at the
            same base with the same changes; or ``"published"``, those of teachers.py.
        folds: How the images are divided, a key of `folds.FOLDS`.
        images: What is done to all images first, a key of `views.VIEWS`; empty for nothing.
        bundled: Whether the base is the data set's bundled recipe, instead of `BASES`'.
        logit_adjustment: How much of the logarithm of a class's share of the training images is
            taken from its logit after the training (Menon et al., *Long-tail learning via logit
            adjustment*, 2021).
        evenly: Whether training images are repeated until all classes are about as frequent.
        members: Models whose mean is scored, instead of one model; each by its bundled recipe.
    """

    group: str
    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = "dermamnist"
    model: str = "advanced_cnn"
    size: int = 28
    evaluated: int = 0
    high_res: int = 0
    teachers: int | Literal["published"] = 0
    folds: str = "own"
    images: str = ""
    bundled: bool = False
    logit_adjustment: float = 0.0
    evenly: bool = False
    members: tuple[Member, ...] = ()

    @property
    def key(self) -> str:
        """Return what names the trial in the file of results."""
        model = "several" if self.members else self.model
        folds = ", folds of images that are alike" if self.folds == "alike" else ""
        return f"{self.dataset}/{model}{folds}: {self.group}: {self.name}"


def _augment(**changes: float) -> dict[str, Any]:
    return {"augmentation": changes}


def _model(**changes: Any) -> dict[str, Any]:
    return {"model_args": changes}


_LONG = {"epochs": 60}
_ALL = _augment(
    rotation=180,
    vertical_flip=0.5,
    shift=0.1,
    scale=0.2,
    brightness=0.3,
    contrast=0.3,
    mixup=0.2,
    mix_probability=0.5,
)
_DROPOUT = _model(drop_rate=0.3)
_STRONG = _ALL | _DROPOUT
_ERASING = {"augmentation": _ALL["augmentation"] | {"erasing": 0.5}}
_MIXUP = _augment(mixup=0.2, mix_probability=0.5)
_FINE = _model(strides=(2, 2, 2, 2))
_LIGHT = _augment(brightness=0.4, contrast=0.4)
TRIALS = (
    Trial("base", "base"),
    Trial("augmentation", "any rotation", _augment(rotation=180)),
    Trial("larger images", "random changes at 64 px", high_res=64),
    Trial("teacher", "at 64 px, random changes there, too", teachers="published"),
    Trial("size", "5.04 M: widths 32/96/288/512", _model(widths=(32, 96, 288, 512))),
    Trial("optimiser", "AdamW, 2e-3", {"optimizer": "adamw", "learning_rate": 2e-3}),
    Trial("augmentation", "mixup on half", _augment(mixup=0.2, mix_probability=0.5)),
    Trial("schedule", "36 epochs", {"epochs": 36}),
    Trial("augmentation", "CutMix on half", _augment(cutmix=1.0, mix_probability=0.5)),
    Trial("loss", "label smoothing 0.1", {"label_smoothing": 0.1}),
    Trial("loss", "no label smoothing", {"label_smoothing": 0.0}),
    Trial("regularisation", "dropout 0.2", _model(drop_rate=0.2)),
    Trial("regularisation", "stochastic depth 0.1", _model(drop_path_rate=0.1)),
    Trial("optimiser", "Muon, 0.04", {"learning_rate": 0.04}),
    Trial("optimiser", "Muon, 0.01", {"learning_rate": 0.01}),
    Trial("attention", "none", _model(attention="")),
    Trial("attention", "ECA", _model(attention="eca")),
    Trial("attention", "CBAM", _model(attention="cbam")),
    Trial("augmentation", "erasing", _augment(erasing=0.25)),
    Trial("augmentation", "colour", _augment(brightness=0.1, contrast=0.1, saturation=0.1)),
    Trial("loss", "class-balanced", {"class_weights": "balanced"}),
    # Its epochs have nearly five times the images.
    Trial("sampling", "all classes as often, 3 epochs", {"epochs": 3}, evenly=True),
    Trial(
        "optimiser",
        "SGD with Nesterov momentum, 0.1",
        {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4},
    ),
    Trial("average", "EMA 0.995", {"ema_decay": 0.995}),
    Trial("average", "no EMA", {"ema_decay": 0.0}),
    Trial("optimiser", "weight decay 0.2", {"weight_decay": 0.2}),
    Trial("loss", "logits adjusted by the classes' shares", logit_adjustment=1.0),
    Trial("depth", "2 blocks a stage, narrower", _model(widths=(24, 48, 88, 168), depths=(2,) * 4)),
    Trial("depth", "3 stages, wider", _model(**SHALLOW)),
    Trial("downsampling", "strides 1, 1, 2, 2", _model(strides=(1, 1, 2, 2))),
    Trial("downsampling", "strides 1, 2, 1, 2", _model(strides=(1, 2, 1, 2))),
    Trial("downsampling", "strides 1, 2, 1, 1", _model(strides=(1, 2, 1, 1))),
    Trial("images", "64 px, one more halving", _FINE, size=64),
    Trial("images", "64 px, one more halving; validated at 28 px", _FINE, size=64, evaluated=28),
    Trial("images", "validated at 64 px", evaluated=64),
    *(
        Trial("teacher", f"{name}, an ensemble of 4", changes, dataset, teachers=4, folds="random")
        for dataset in SMALL_SETS
        for name, changes in (
            ("base", {}),
            ("all augmentations", _ALL),
            ("three times the epochs, mixup on half", _LONG | _MIXUP),
            ("dropout 0.3, brightness and contrast 0.4", _DROPOUT | _LIGHT),
        )
    ),
    *(
        Trial("start", name, changes, dataset)
        for dataset in SMALL_SETS
        for name, changes in (
            ("random weights", {}),
            ("the backbone of all sets", {"backbone": BACKBONE}),
            (
                "the backbone, at a quarter of the rate",
                {"backbone": BACKBONE, "learning_rate": 5e-3},
            ),
        )
    ),
    *(
        Trial(group, name, changes, dataset, folds="random")
        for dataset in SMALL_SETS
        for group, name, changes in (
            ("base", "base", {}),
            ("size", "5.01 M", _model(**WIDE)),
            ("augmentation", "any rotation", _augment(rotation=180, vertical_flip=0.5)),
            ("augmentation", "flips alone", _augment(rotation=0, scale=0.0, shift=0.0)),
            ("augmentation", "shift 0.1, scale 0.2", _augment(shift=0.1, scale=0.2)),
            ("augmentation", "brightness and contrast 0.2", _augment(brightness=0.2, contrast=0.2)),
            ("augmentation", "brightness and contrast 0.4", _LIGHT),
            ("augmentation", "erasing on half", _augment(erasing=0.5)),
            ("augmentation", "mixup on half", _MIXUP),
            ("augmentation", "CutMix on half", _augment(cutmix=1.0, mix_probability=0.5)),
            ("loss", "class-balanced", {"class_weights": "balanced"}),
            ("loss", "label smoothing 0.2", {"label_smoothing": 0.2}),
            ("loss", "label smoothing 0.4", {"label_smoothing": 0.4}),
            ("optimiser", "AdamW, 2e-3", {"optimizer": "adamw", "learning_rate": 2e-3}),
            ("optimiser", "Muon, 0.005", {"learning_rate": 5e-3}),
            ("regularisation", "dropout 0.3", _DROPOUT),
            ("regularisation", "stochastic depth 0.2", _model(drop_path_rate=0.2)),
            ("regularisation", "weight decay 0.5", {"weight_decay": 0.5}),
            ("schedule", "half the epochs", {"epochs": BASES[dataset]["epochs"] // 2}),
            ("schedule", "three times the epochs", _LONG),
            ("several", "all augmentations", _ALL),
            ("several", "all augmentations, dropout 0.3", _STRONG),
            ("several", "all augmentations, dropout 0.3, erasing", _STRONG | _ERASING),
            (
                "several",
                "all augmentations, dropout 0.3, EMA 0.997",
                _STRONG | {"ema_decay": 0.997},
            ),
            ("several", "all augmentations, dropout 0.5", _ALL | _model(drop_rate=0.5)),
            ("several", "all augmentations, three times the epochs", _LONG | _ALL),
            (
                "several",
                "all augmentations, three times the epochs, 5.01 M",
                _LONG | _ALL | _model(**WIDE),
            ),
            (
                "several",
                "all augmentations, three times the epochs, AdamW, 2e-3",
                _LONG | _ALL | {"optimizer": "adamw", "learning_rate": 2e-3},
            ),
            (
                "schedule",
                "three times the epochs, mixup on half",
                _LONG | _MIXUP,
            ),
        )
    ),
    *(
        Trial(group, name, changes, "pneumoniamnist")
        for group, name, changes in (
            ("base", "base", {}),
            ("augmentation", "brightness and contrast 0.2", _augment(brightness=0.2, contrast=0.2)),
            ("augmentation", "brightness and contrast 0.4", _LIGHT),
            ("augmentation", "mixup on half", _MIXUP),
            ("loss", "class-balanced", {"class_weights": "balanced"}),
            ("regularisation", "dropout 0.3", _DROPOUT),
            ("optimiser", "AdamW, 2e-3", {"optimizer": "adamw", "learning_rate": 2e-3}),
            ("size", "5.01 M", _model(**WIDE)),
        )
    ),
    *(
        Trial(group, name, dataset="retinamnist", folds="alike", images=view, bundled=True)
        for group, name, view in (
            ("base", "base", ""),
            ("images", "each with the same mean colours", "same colours"),
            ("images", "without what is bright at large", "local"),
            ("images", "gray", "gray"),
        )
    ),
    *(
        Trial("together", name, {}, "retinamnist", folds="alike", members=members)
        for name, members in (
            ("advanced_cnn", (Member(0, model="advanced_cnn"),)),
            ("advanced_cnn, 2", tuple(Member(seed, model="advanced_cnn") for seed in range(2))),
            ("simple_cnn", (Member(0),)),
            ("simple_cnn, 2", tuple(map(Member, range(2)))),
            ("simple_cnn, 3", tuple(map(Member, range(3)))),
            ("simple_cnn, 1 without what is bright at large", (Member(0, "local"),)),
            (
                "simple_cnn, 1 and 1 without what is bright at large",
                (Member(0), Member(0, "local")),
            ),
            (
                "simple_cnn, 3 and 1 without what is bright at large",
                (*map(Member, range(3)), Member(0, "local")),
            ),
        )
    ),
)
