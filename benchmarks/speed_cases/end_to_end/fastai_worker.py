"""Train a network by fastai as its users do; runs in an environment of its own.

    python fastai_worker.py FOLDER EPOCHS SEED

The folder has ``train/``, ``valid/`` and ``test/``, each with a folder of images per class. One
line of JSON is printed: the seconds until the model was trained and validated, imports included,
and the scores of the validation and the test split, which is read afterwards.
"""

from __future__ import annotations

import time

_STARTED = time.perf_counter()  # before the imports, which are part of the waiting time

import json  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402

from fastai.vision.all import (  # type: ignore[import-not-found]  # noqa: E402
    ImageDataLoaders,
    accuracy,
    aug_transforms,
    get_image_files,
    parent_label,
    resnet18,
    set_seed,
    vision_learner,
)
from sklearn.metrics import roc_auc_score  # noqa: E402

BATCH = 64


def main(folder: str, epochs: int, seed: int) -> None:
    """Train, then evaluate.

    Args:
        folder: Folder of the images.
        epochs: Epochs of one cycle.
        seed: Seed of the weights and the order of the images.
    """
    set_seed(seed)
    loaders = ImageDataLoaders.from_folder(
        folder, train="train", valid="valid", bs=BATCH, batch_tfms=aug_transforms()
    )
    # Without weights of ImageNet, which medzoo's network does not start from either.
    learner = vision_learner(loaders, resnet18, pretrained=False, metrics=accuracy)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs)
    seconds = time.perf_counter() - _STARTED
    found = {"seconds": seconds, "epochs": epochs, "seed": seed}
    found |= _scores(learner, f"{folder}/valid", "val_") | _scores(learner, f"{folder}/test")
    print(json.dumps(found))


def _scores(learner: Any, folder: str, prefix: str = "") -> dict[str, float]:
    files = get_image_files(folder)
    classes = list(learner.dls.vocab)
    truth = [classes.index(parent_label(file)) for file in files]
    with learner.no_bar():
        probabilities = learner.get_preds(dl=learner.dls.test_dl(files))[0].numpy()
    correct = (probabilities.argmax(1) == truth).mean()
    auc = roc_auc_score(truth, probabilities[:, 1])
    return {f"{prefix}acc": float(correct), f"{prefix}auc": float(auc)}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
