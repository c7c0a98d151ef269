"""The blocks of docs/experiment-tracking.md run, against stand-ins for the packages they log to."""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import medzoo
from medzoo.training import Trainer
from tests.training.quick import QUICK, small

PAGE = Path(__file__).parents[2] / "docs" / "experiment-tracking.md"
SECTIONS = dict(re.findall(r"^## (.+?)$.*?^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S))


def block(title, **names):
    """Run a section's block; return the names that it defines."""
    exec(compile(SECTIONS[title], title, "exec"), names)
    return names


def fit(data, *callbacks, recipe=QUICK):
    return Trainer(small(data), data, recipe, name="run", callbacks=callbacks).fit()


@pytest.fixture
def log(monkeypatch):
    """Calls of the stand-ins, as (function, positional arguments, keywords)."""
    calls = []

    def stand_in(name, *functions, **members):
        module = ModuleType(name)
        for function in functions:

            def keep(*args, _function=function, **kwargs):
                calls.append((_function, args, kwargs))

            setattr(module, function, keep)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)

    stand_in("mlflow", "start_run", "log_params", "log_metrics", "log_metric", "end_run")
    stand_in("trackio", "init", "log", "finish")

    def init(*, project, name, config):
        calls.append(("init", (), {"project": project, "name": name, "config": config}))
        return SimpleNamespace(
            log=lambda row, step: calls.append(("log", (row,), {"step": step})),
            finish=lambda: calls.append(("finish", (), {})),
            summary={},
        )

    stand_in("wandb", init=init)
    return calls


@pytest.mark.parametrize(
    ("title", "name", "expected"),
    [
        (
            "MLflow",
            "MLflow",
            ["start_run", "log_params", "log_metrics", "log_metrics", "log_metric", "end_run"],
        ),
        ("Weights & Biases", "WeightsAndBiases", ["init", "log", "log", "finish"]),
        ("Trackio", "Trackio", ["init", "log", "log", "finish"]),
    ],
)
def test_a_tracker_gets_recipe_and_figures(tiny, log, title, name, expected):
    callback = block(title)[name]()
    finished = fit(tiny, callback)
    assert [function for function, _, _ in log] == expected
    steps = [(a[0], k["step"]) for f, a, k in log if f in ("log", "log_metrics")]
    assert steps == list(zip(finished.history, (1, 2), strict=True))
    given = [a[0] for f, a, k in log if f == "log_params"]
    given += [k["config"] for f, a, k in log if f == "init"]
    assert given == [QUICK.with_changes(model_args={"widths": [4, 8, 16]}).to_dict()]
    if title == "Weights & Biases":
        assert callback.run.summary == {
            "best_val_auc": max(row["val_auc"] for row in finished.history)
        }


def test_tensorboard(tiny, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    quick = {"epochs": 1, "model_args": {"widths": (4, 8, 16)}}
    monkeypatch.setattr("medzoo.training.recipes.bundled._bundled", lambda: {"default": quick})
    assert len(block("TensorBoard", medzoo=medzoo, data=tiny)["run"].history) == 1
    assert list((tmp_path / "runs" / "first").glob("events*"))


def test_optuna(tiny, monkeypatch):
    class TrialPruned(Exception):  # noqa: N818
        pass

    reports, results = [], []
    trial = SimpleNamespace(
        suggest_float=lambda name, low, high, log: low,
        report=lambda value, step: reports.append((step, value)),
        should_prune=lambda: len(reports) == 3,
    )

    def optimize(objective, n_trials):
        for _ in range(2):
            try:
                results.append(objective(trial))
            except TrialPruned:
                results.append("pruned")

    optuna = ModuleType("optuna")
    optuna.TrialPruned = TrialPruned
    optuna.create_study = lambda direction: SimpleNamespace(optimize=optimize)
    monkeypatch.setitem(sys.modules, "optuna", optuna)
    quick = {"epochs": 2, "model_args": {"widths": (4, 8, 16)}}
    monkeypatch.setattr("medzoo.training.recipes.bundled._bundled", lambda: {"default": quick})
    block("Pruning with Optuna", medzoo=medzoo, data=tiny)
    assert [step for step, _ in reports] == [1, 2, 1]
    best = max(value for _, value in reports[:2])
    assert results == [pytest.approx(best, abs=0.05), "pruned"]  # of the calibrated model


def test_a_budget_of_time(tiny):
    budget = block("Stopping a run")["Budget"](0)
    stopped = fit(tiny, budget)
    assert (len(stopped.history), stopped.stopped) == (1, "0 seconds have passed")
