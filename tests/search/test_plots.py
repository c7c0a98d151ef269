"""Pictures: what they need, and that no name spoils them."""

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from PIL import Image

from medzoo.errors import TrainingError
from medzoo.search import (
    plot_pareto_front,
    plot_search_history,
    plot_search_importance,
    plot_search_slices,
)

SPACE = {
    "learning_rate": FloatDistribution(1e-4, 1.0, log=True),
    "warmup": [0.1, 0.3],
    "optimizer": ["sgd", "adamw"],
}


@pytest.fixture(scope="module")
def result():
    import medzoo
    from medzoo.search.trial import objective
    from tests.search.formula import train

    data = medzoo.synthetic(task="binary-class", num_classes=2, n_train=24, n_val=12, n_test=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objective, "train", train)
        return medzoo.search(
            data,
            "simple_cnn",
            SPACE,
            trials=12,
            objectives=["val_auc", "val_loss"],
            storage=None,
            progress=False,
        )


@pytest.mark.parametrize(
    "plot", [plot_pareto_front, plot_search_history, plot_search_importance, plot_search_slices]
)
def test_each_picture_shows_something(result, tmp_path, plot):
    path = plot(result, tmp_path / "new" / "plot.png")
    pixels = np.asarray(Image.open(path).convert("L"))
    assert len(np.unique(pixels)) > 20


def test_names_of_parameters_are_shown_as_they_are(run, tmp_path):
    def space(trial, recipe):
        trial.suggest_float("$\\frac{\x1b[2J", 0, 1)
        return {"warmup": trial.suggest_categorical("\n" * 9, [0.1, 0.2])}

    result = run(trials=4, space=space)
    plot_search_slices(result, tmp_path / "slices.png")


def test_what_is_missing_for_a_picture_is_said(run, monkeypatch, tmp_path):
    alone = run(trials=1)
    with pytest.raises(TrainingError, match="cannot be computed from 1 complete trial"):
        plot_search_importance(alone, tmp_path / "x.png")
    with pytest.raises(ValueError, match="needs two objectives"):
        plot_pareto_front(alone, tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"does not end in \.json"):
        alone.save(tmp_path / "best.txt")
