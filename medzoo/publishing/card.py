"""The model card: what the weights are, how good, on what, and what they must not be used for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from medzoo.datasets import list_datasets
from medzoo.publishing.release import Release
from medzoo.weights.licence import is_noncommercial

HUB_LICENCES = (
    "apache-2.0",
    "bsd-3-clause",
    "cc-by-4.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "mit",
)
"""The licences of weights and data that the Hub knows by name."""

_SCORES = {
    "auc": ("AUC", "roc_auc"),
    "acc": ("ACC", "accuracy"),
    "exact_match": ("exact match", "exact_match"),
    "balanced_acc": ("balanced ACC", "balanced_accuracy"),
    "macro_f1": ("macro F1", "f1"),
    "ece": ("ECE", "expected_calibration_error"),
}
"""What each score is called in the table, and on the Hub."""

_LIMITS = """\
- It was made for images like those of its training data and answers for any other image, too, with
  one of its classes. Other scanners, cameras, populations and diseases were not tried unless a table
  below says so.
- Its figures are means over a test set. Rare classes do worse; look at the scores of each class
  (`medzoo.evaluate`) before you rely on any of them.
- Small images have lost detail that a diagnosis needs."""

_BACKBONE_LIMITS = """\
- It was made for images like those of its training data. It gives features of any other image, too;
  whether they are of use there was not tried.
- It tells no classes. What you make of it has to be measured on data of your own, each class
  (`medzoo.evaluate`), before you rely on it.
- Small images have lost detail that a diagnosis needs."""


_IN_TIMM = """\
In [timm](https://github.com/huggingface/pytorch-image-models), which `import medzoo` teaches the
architecture:"""

_NOT_IN_TIMM = " timm cannot build this network: its stem was made for small images."


def model_card(
    release: Release, repo_id: str, *, in_timm: bool = True, plots: Sequence[str] = ()
) -> ModelCard:
    """Write the model card of a repository.

    The same release gives the same card, so that a repository changes only when its weights or
    what is known of them do.

    Args:
        release: What is published.
        repo_id: Where: ``"organisation/name"``.
        in_timm: Whether timm can build the network from the repository.
        plots: Figures in the repository to show, as paths.
    """
    name = repo_id.partition("/")[2]
    limits = _BACKBONE_LIMITS if release.is_backbone else _LIMITS
    sections = [
        f"# {name}\n\n{_summary(release)}",
        "> **Not for clinical use.** This model is for research and teaching. It must not inform "
        "any decision about a patient.",
        f"## Use\n\n{_use(release, repo_id, in_timm)}",
        f"## Intended use and limits\n\nResearch and teaching, nothing else.\n\n{limits}",
        f"## Training data\n\n{_data(release)}",
        f"## Results\n\n{_results(release, plots)}",
        f"## Training\n\n{_training(release)}",
        f"## Licence\n\n{_licence(release)}",
    ]
    body = "\n\n".join(sections)
    return ModelCard(f"---\n{_metadata(release, name, in_timm).to_yaml()}\n---\n\n{body}\n")


def _metadata(release: Release, name: str, in_timm: bool) -> ModelCardData:
    results = list(_eval_results(release))
    licence = hub_licence(release.licence)
    task = "image-feature-extraction" if release.is_backbone else "image-classification"
    info = release.spec.dataset
    names = [*release.data.get("sets", ()), *([info.name] if info else ())]
    return ModelCardData(
        library_name="timm" if in_timm else "medzoo",
        pipeline_tag=task,
        license=licence,
        license_name=release.licence.lower().replace(" ", "-") if licence == "other" else None,
        tags=[task, "timm", "medzoo", "medical", release.spec.architecture],
        datasets=[name for name in names if name in list_datasets()] or None,
        model_name=name if results else None,
        eval_results=results or None,
    )


def hub_licence(licence: str) -> str | None:
    """Return a licence as the Hub writes it; None if there is none.

    Args:
        licence: ``"CC BY-NC 4.0"`` becomes ``"cc-by-nc-4.0"``, what the Hub does not know
            ``"other"``.
    """
    name = licence.lower().replace(" ", "-")
    return name if name in HUB_LICENCES else ("other" if name else None)


def _eval_results(release: Release) -> Iterator[EvalResult]:
    info = release.spec.dataset
    for split, report in release.metrics.items():
        for score, (label, metric) in _scores(report):
            yield EvalResult(
                task_type="image-classification",
                dataset_type=report.get("dataset") or (info.name if info else "unknown"),
                dataset_name=report["title"],
                dataset_split=split,
                metric_type=metric,
                metric_name=label,
                metric_value=report[score],
            )


def _scores(report: Mapping[str, Any]) -> list[tuple[str, tuple[str, str]]]:
    """Return the scores that a report has; exact match only where it is not the ACC once more."""
    return [
        (score, names)
        for score, names in _SCORES.items()
        if report.get(score) is not None
        and not (score == "exact_match" and report[score] == report["acc"])
    ]


def _summary(release: Release) -> str:
    spec = release.spec
    channels, height, width = spec.input.shape
    what = f"`{spec.architecture}`, trained on {release.title}"
    gives = "features" if release.is_backbone else f"{spec.num_classes} classes"
    return (
        f"{what}: {gives}, images of {height} x {width} pixels in {channels} "
        f"channel{'s' if channels > 1 else ''}, {release.parameters:,} parameters. Made with medzoo."
    )


def _use(release: Release, repo_id: str, in_timm: bool) -> str:
    if release.is_backbone:
        return _use_of_backbone(repo_id, in_timm)
    own = f"""\
```python
import medzoo

model = medzoo.create_model("hf-hub:{repo_id}")
print(medzoo.predict(model, "image.png"))
```

The file carries input size and normalisation, and `predict` and `evaluate` use them."""
    if not in_timm:
        return own + _NOT_IN_TIMM
    temperature = release.spec.temperature
    return f"""{own}

{_IN_TIMM}

```python
import medzoo, timm

model = timm.create_model("hf-hub:{repo_id}", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
```

The logits are the same. medzoo divides them by the temperature {temperature:.4g} before it makes
probabilities of them; timm does not."""


def _use_of_backbone(repo_id: str, in_timm: bool) -> str:
    own = f"""\
It is a backbone without a classifier, a start for models of your own images:

```python
import medzoo

data = medzoo.load_dataset("breastmnist")  # or a folder, table or file of your own
run = medzoo.finetune("hf-hub:{repo_id}", data)  # all of it learns, with a new classifier
print(medzoo.linear_probe("hf-hub:{repo_id}", data).test)  # it stays as it is
```"""
    if not in_timm:
        return f"{own}\n\n{_NOT_IN_TIMM.strip()}"
    return f"""{own}

{_IN_TIMM}

```python
import medzoo, timm

backbone = timm.create_model("hf-hub:{repo_id}", pretrained=True, features_only=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(backbone))
```

This gives the feature map of each resolution; without `features_only`, one vector an image."""


def _data(release: Release) -> str:
    if sets := release.data.get("sets"):
        return _data_of_several(release, sets)
    info = release.spec.dataset
    text = f"**{release.title}**."
    data = release.data
    if data and info and info.name in list_datasets():
        text += (
            " This is medmnist's official file."
            if data["official"]
            else f" This is not medmnist's official file ({data['note']}), so figures may differ "
            "from those on the official one."
        )
    if data.get("md5"):
        text += f" File `{data['file']}`, md5 `{data['md5']}`."
    if info is None:
        return text
    classes = "\n".join(f"{index}. {name}" for index, name in enumerate(info.classes))
    return "\n\n".join(part for part in (text, info.description, f"Classes:\n\n{classes}") if part)


def _data_of_several(release: Release, sets: Mapping[str, int]) -> str:
    files = release.data.get("files", {})
    lines = [f"**{release.title}**; only their training and validation splits.\n"]
    for name, visits in sets.items():
        provenance = files.get(name)
        if provenance is None:
            told = "its file and md5 are not recorded"
        else:
            official = "" if provenance["official"] else ", not medmnist's official file"
            told = f"file `{provenance['file']}`, md5 `{provenance['md5']}`{official}"
            told += f" ({provenance['note']})" if provenance["note"] else ""
        times = "once" if visits == 1 else f"{visits} times"
        lines.append(f"- {name}, each image {times} an epoch; {told}")
    return "\n".join(lines)


def _results(release: Release, plots: Sequence[str]) -> str:
    validated = _validated(release)
    if not release.metrics:
        return validated or "Nothing was measured on these weights."
    scores = dict(pair for report in release.metrics.values() for pair in _scores(report))
    rows = [["Data", "Split", "Images", *(label for label, _ in scores.values())]]
    rows.append(["---"] * len(rows[0]))
    for split, report in release.metrics.items():
        rows.append([report["title"], split, f"{report['n']:,}"])
        rows[-1] += [_figure(report, score) for score in scores]
    parts = [
        "\n".join(f"| {' | '.join(row)} |" for row in rows),
        "AUC and ACC are as MedMNIST defines them. In brackets: 95 % bootstrap intervals over the "
        "images.",
    ]
    if release.seed_stats:
        acc, auc = release.seed_stats["acc"], release.seed_stats["auc"]
        parts.append(
            f"This is the best of {len(release.seed_stats['seeds'])} trainings by validation AUC. "
            f"Over their seeds, on the test split (mean ± standard deviation): "
            f"AUC {auc['mean']:.4f} ± {auc['sd']:.4f}, ACC {acc['mean']:.4f} ± {acc['sd']:.4f}."
        )
    if validated and "val" not in release.metrics:
        parts.append(validated)
    return "\n\n".join([*parts, *(f"![{path}]({path})" for path in plots)])


def _validated(release: Release) -> str:
    """Tell what training measured itself; no result that the Hub should list as one."""
    scores = [f"{_SCORES[name][0]} {value:.3f}" for name, value in release.validation.items()]
    if not scores:
        return ""
    removed = " with the classifier that was then removed," if release.is_backbone else ""
    return (
        f"In training,{removed} the epoch that was kept had on the validation split: "
        f"{', '.join(scores)}. It was chosen there, so this is no test result."
    )


def _figure(report: Mapping[str, Any], score: str) -> str:
    if report.get(score) is None:
        return "-"
    interval = report.get("intervals", {}).get(score)
    bounds = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return f"{report[score]:.3f}{bounds}"


def _training(release: Release) -> str:
    if not release.recipe:
        return "How it was trained is not known."
    recipe = json.dumps(dict(release.recipe), indent=2, sort_keys=True)
    more = "".join(f" {sentence}" for sentence in (_taught(release), _through(release)) if sentence)
    how = "With `medzoo train` by this recipe."
    if release.is_backbone:
        how = "By this recipe, with a classifier that was then removed."
    if release.data.get("sets"):
        how = (
            "By `benchmarks/release/backbone.py` of medzoo's repository, with this recipe: all "
            "classes of all sets were the classes of one task. The classifier was then removed."
        )
    return f"{how}{more}\n\n```json\n{recipe}\n```"


def _taught(release: Release) -> str:
    """Tell who taught, as far as it is known."""
    share = release.recipe.get("distillation")
    if not share:
        return ""
    text = f"A share of {share:g} of the targets was the answers of a teacher"
    if not release.teacher:
        return f"{text}; which one is not known."
    members = Counter(map(_member, release.teacher))
    if members.total() == 1:
        return f"{text}: {next(iter(members))}."
    listed = ", ".join(f"{count} x {member}" for member, count in members.items())
    return f"{text}, the mean of {members.total()} models: {listed}."


def _member(values: Mapping[str, Any]) -> str:
    """Describe one model of a teacher in a few words."""
    size, dataset, parameters = map(values.get, ("input_size", "dataset", "parameters"))
    told = [
        f"made for {dataset}" if dataset else "",
        f"input {' x '.join(map(str, size))}" if size else "",
        f"{parameters:,} parameters" if parameters else "",
    ]
    known = "; ".join(filter(None, told))
    return f"{values['architecture']} ({known})" if known else str(values["architecture"])


def _through(release: Release) -> str:
    """Tell of the larger images that the training went through."""
    if not release.high_res:
        return ""
    size, md5 = release.high_res["size"], release.high_res["md5"]
    file = f" (md5 `{md5}`)" if md5 else ""
    return (
        f"Random changes were made to the same images at {size} x {size} pixels{file}, which were "
        "then scaled down to the model's size."
    )


def _licence(release: Release) -> str:
    if not release.licence:
        return "Not stated; ask the author before you use the weights."
    noncommercial = " They are for non-commercial use." if is_noncommercial(release.licence) else ""
    return f"The weights are under {release.licence}, the medzoo library under Apache-2.0.{noncommercial}"
