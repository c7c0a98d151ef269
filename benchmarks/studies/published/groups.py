"""How the scores of the published models differ between groups of test images.

The groups come from two tables in the data folder: ``dermamnist_lesions.csv`` says which images
show the same lesion, ``octmnist_sources.csv`` which show the same patient. Nothing is chosen by
these figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.palette import BLUE, GREEN, ORANGE
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import ResultsFile
from benchmarks.reproduction.source import Source
from benchmarks.studies.published.answers import answers
from benchmarks.studies.published.answers import trials as all_trials
from benchmarks.studies.study import NamedTrial, Study
from medzoo.datasets import Dataset, read_groups
from medzoo.datasets.resplit import read_column
from medzoo.datasets.source import data_root
from medzoo.evaluation.groups import largest_gap, score_groups, worst_group

RECORDS = ResultsFile(RESULTS / "groups.json")
SCORES = {"auc": "AUC", "acc": "ACC", "balanced_acc": "Balanced ACC"}
Grouping = Mapping[str, list[str]]


def trials() -> list[NamedTrial]:
    """Return one trial per published classifier whose test images can be put into groups."""
    return [one for one in all_trials() if one.key.partition(".")[2] in ("dermamnist", "octmnist")]


def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Score each group of the test split of one model.

    Args:
        trial: Its key is the name of the model.
        source: Source of the images; its folder must have the table of the groups.
    """
    data, _, test = answers(trial.key, source)
    groupings = groupings_of(trial.key.partition(".")[2], data, source).items()
    return {
        "title": data.test.title,
        "groupings": [{"title": title, **_scored(data, test, names)} for title, names in groupings],
    }


def groupings_of(dataset: str, data: Dataset, source: Source) -> Grouping:
    """Return the name of each test image's group, by the title of the grouping.

    Args:
        dataset: ``"dermamnist"`` or ``"octmnist"``.
        data: Its images.
        source: Where the table of the groups is.
    """
    folder = data_root(source.root)
    if dataset == "octmnist":
        patients = read_column(folder / "octmnist_sources.csv", data, "patient", "test")
        scans = Counter(patients)
        names = ["one" if scans[one] == 1 else "several" for one in patients]
        return {"scans of the patient": names}
    lesions = read_groups(folder / "dermamnist_lesions.csv", data, "lesion_id")
    trained, photographs = set(lesions[: len(data.train)]), Counter(lesions)
    own = lesions[-len(data.test) :]
    leaked = ["in training" if one in trained else "new" for one in own]
    several = [
        "one" if photographs[lesion] == 1 else f"several, {where}"
        for lesion, where in zip(own, leaked, strict=True)
    ]
    return {"lesion": leaked, "photographs of the lesion": several}


def table() -> str:
    """Return the scores of each group, the worst in bold, and the largest gaps."""
    header = ("Model", "Groups", "Group", "Images", "Most frequent class", *SCORES.values())
    rows = []
    for name, record in sorted(RECORDS.read().items()):
        for grouping in record["groupings"]:
            first = (f"`{name}`", grouping["title"])
            for group in grouping["groups"]:
                cells = [_cell(group, score, grouping["worst"][score]) for score in SCORES]
                rows.append((*first, group["name"], f"{group['n']:,}", _most(group), *cells))
            gaps = [f"{grouping['gap'][score]:.3f}" for score in SCORES]
            rows.append((*first, "*largest gap*", "", "", *gaps))
    return markdown_table(header, rows)


def plot() -> Figure:
    """Draw the accuracy of each model of DermaMNIST by the photographs of a lesion."""
    records = {k: one for k, one in sorted(RECORDS.read().items()) if k.endswith(".dermamnist")}
    groups = [record["groupings"][-1]["groups"] for record in records.values()]
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    axes = figure.subplots()
    for index, colour in enumerate((BLUE, ORANGE, GREEN)):
        for place, group in enumerate(one[index] for one in groups):
            value, (low, high) = group["scores"]["acc"], group["intervals"]["acc"]
            axes.errorbar(
                *(100 * value, place + 0.2 * (index - 1)),
                xerr=[[100 * (value - low)], [100 * (high - value)]],
                fmt="o",
                color=colour,
                capsize=3,
                label=None if place else group["name"],
            )
    axes.set_yticks(range(len(records)), list(records))
    axes.set_ylim(len(records) - 0.5, -0.5)  # the first one on top
    axes.set_xlabel("accuracy in %, with 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", title="photographs of the lesion", ncols=3)
    return figure


def _scored(data: Dataset, test: Tensor, names: list[str]) -> dict[str, Any]:
    info, labels = data.info, data.test.labels.tolist()
    groups = score_groups(data.test.labels, test, info.task, info.classes, names)
    rows = []
    for group in groups:
        own = Counter(
            label for label, name in zip(labels, names, strict=True) if name == group["name"]
        )
        [(label, count)] = own.most_common(1)
        rows.append(
            {
                "name": group["name"],
                "n": group["n"],
                "most_frequent": {"name": info.classes[label], "share": count / group["n"]},
                "scores": {score: group["scores"][score] for score in SCORES},
                "intervals": {score: group["intervals"][score] for score in SCORES},
            }
        )
    return {
        "groups": rows,
        "worst": {s: one["name"] for s in SCORES if (one := worst_group(groups, s))},
        "gap": {score: largest_gap(groups, score) for score in SCORES},
    }


def _most(group: Mapping[str, Any]) -> str:
    found = group["most_frequent"]
    return f"{found['name']}, {100 * found['share']:.0f} %"


def _cell(group: Mapping[str, Any], score: str, worst: str) -> str:
    low, high = group["intervals"][score]
    bold = "**" if group["name"] == worst else ""
    return f"{bold}{group['scores'][score]:.3f}{bold} [{low:.3f}, {high:.3f}]"


def _summary(record: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{one['title']}: gap {one['gap']['auc']:.3f} AUC, {one['gap']['acc']:.3f} ACC"
        for one in record["groupings"]
    )


GROUPS = Study(
    name="groups",
    description="how scores of the published models differ between groups of test images",
    results=RECORDS,
    trials=trials,
    run=run,
    table=table,
    summary=_summary,
    of_weights=True,
)
