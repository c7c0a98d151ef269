"""The sections of a model card: use, limits, data, results, training, licence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from medzoo.datasets import list_datasets
from medzoo.escape import as_markdown_code, for_markdown
from medzoo.publishing.release import Release
from medzoo.weights.licence import is_noncommercial

_SCORES = {
    "auc": ("AUC", "roc_auc"),
    "acc": ("ACC", "accuracy"),
    "exact_match": ("exact match", "exact_match"),
    "balanced_acc": ("balanced ACC", "balanced_accuracy"),
    "macro_f1": ("macro F1", "f1"),
    "ece": ("ECE", "expected_calibration_error"),
}
"""Name of each score in the table, and on the Hub."""

_LIMITS = """\
- It was made for images like those of its training data. It also gives one of its classes for any
  other image. Other scanners, cameras, populations and diseases were not tested unless a table
  below says so.
- Its scores are means over a test set and are lower for rare classes. Check the scores of each
  class (`medzoo.evaluate`) before you rely on them.
- Small images lack detail that a diagnosis needs."""

_BACKBONE_LIMITS = """\
- It was made for images like those of its training data. It also gives features for any other
  image; whether they are useful there was not tested.
- It has no classes. Evaluate any model that you build with it on your own data, for each class
  (`medzoo.evaluate`), before you rely on it.
- Small images lack detail that a diagnosis needs."""


_IN_TIMM = """\
In [timm](https://github.com/huggingface/pytorch-image-models), after `import medzoo`, which
registers the architecture:"""

_NOT_IN_TIMM = " timm cannot build this network: its stem was made for small images."


def card_text(release: Release, repo_id: str, in_timm: bool, plots: Sequence[str]) -> str:
    """Write the text of a model card; see `model_card`.

    Args:
        release: What is published.
        repo_id: Where: ``"organisation/name"``.
        in_timm: Whether timm can build the network from the repository.
        plots: Figures in the repository to show, as paths.
    """
    limits = _BACKBONE_LIMITS if release.is_backbone else _LIMITS
    sections = [
        f"# {repo_id.partition('/')[2]}\n\n{_summary(release)}",
        "> **Not for clinical use.** This model is for research and teaching. It must not inform "
        "any decision about a patient.",
        f"## Use\n\n{_use(release, repo_id, in_timm)}",
        f"## Intended use and limits\n\nResearch and teaching only.\n\n{limits}",
        f"## Training data\n\n{_data(release)}",
        f"## Results\n\n{_results(release, plots)}",
        f"## Training\n\n{_training(release)}",
        f"## Licence\n\n{_licence(release)}",
    ]
    return "\n\n".join(sections)


def scores_of(report: Mapping[str, Any]) -> list[tuple[str, tuple[str, str]]]:
    """Return the names of the scores in a report, in the table and on the Hub.

    Args:
        report: As `medzoo.Report.to_dict` gives it. Exact match is left out where it equals ACC.
    """
    return [
        (score, names)
        for score, names in _SCORES.items()
        if report.get(score) is not None
        and not (score == "exact_match" and report[score] == report["acc"])
    ]


def _summary(release: Release) -> str:
    spec = release.spec
    channels, height, width = spec.input.shape
    what = f"{as_markdown_code(spec.architecture)}, trained on {for_markdown(release.title)}"
    gives = "features" if release.is_backbone else f"{spec.num_classes} classes"
    return (
        f"{what}: {gives}, images of {height} x {width} pixels in {channels} "
        f"channel{'s' if channels > 1 else ''}, {release.parameters:,} parameters. "
        "Made with medzoo."
    )


def _use(release: Release, repo_id: str, in_timm: bool) -> str:
    if release.is_backbone:
        return _use_of_backbone(repo_id, in_timm)
    sets = _sets(release)
    own = f"""\
```python
import medzoo

model = medzoo.create_model("hf-hub:{repo_id}")
print(medzoo.predict(model, "image.png"))
```

The file contains input size and normalisation, which `predict` and `evaluate` use.{sets}"""
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

The logits are the same. medzoo divides them by the temperature {temperature:.4g} before it
computes probabilities; timm does not."""


def _sets(release: Release) -> str:
    """Describe the prediction sets."""
    spec, sets = release.spec, release.spec.conformal
    if sets is None:
        return ""
    what = "contains on average this share of an image's labels"
    if not spec.multi_label:
        each = " for each class" if len(sets.thresholds) > 1 else ""
        what = f"contains the class of an image with this probability{each}"
    return (
        f"\n\nIts `prediction_set`, a {sets.title}, {what}, if the image is of the same kind as "
        f"the {sets.images:,} that it was calibrated on (conformal prediction, "
        f"{sets.method.upper()}). Images of another hospital, camera or population are not."
    )


def _use_of_backbone(repo_id: str, in_timm: bool) -> str:
    own = f"""\
It is a backbone without a classifier, to start from when you train on your own images:

```python
import medzoo

data = medzoo.load_dataset("breastmnist")  # or your own folder, table or file
run = medzoo.finetune("hf-hub:{repo_id}", data)  # trains all of it, with a new classifier
print(medzoo.linear_probe("hf-hub:{repo_id}", data).test)  # trains only a classifier
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

This gives a feature map for each resolution; without `features_only`, one vector per image."""


def _data(release: Release) -> str:
    if sets := release.data.get("sets"):
        return _data_of_several(release, sets)
    info = release.spec.dataset
    text = f"**{for_markdown(release.title)}**."
    data = release.data
    if data and info and info.name in list_datasets():
        text += (
            " This is medmnist's official file."
            if data["official"]
            else f" This is not medmnist's official file ({for_markdown(data['note'])}), so scores "
            "may differ from those on the official one."
        )
    if data.get("md5"):
        text += f" {_file(data)}."
    if info is None:
        return text
    classes = "\n".join(f"{i}. {for_markdown(name)}" for i, name in enumerate(info.classes))
    parts = (text, for_markdown(info.description), f"Classes:\n\n{classes}")
    return "\n\n".join(filter(None, parts))


def _file(data: Mapping[str, Any]) -> str:
    file, md5 = (as_markdown_code(str(data[name])) for name in ("file", "md5"))
    return f"File {file}, md5 {md5}"


def _data_of_several(release: Release, sets: Mapping[str, int]) -> str:
    files = release.data.get("files", {})
    lines = [f"**{for_markdown(release.title)}**; only their training and validation splits.\n"]
    for name, visits in sets.items():
        provenance = files.get(name)
        if provenance is None:
            source = "its file and md5 are not recorded"
        else:
            official = "" if provenance["official"] else ", not medmnist's official file"
            source = f"{_file(provenance)}{official}".replace("File", "file", 1)
            source += f" ({for_markdown(provenance['note'])})" if provenance["note"] else ""
        times = "once" if visits == 1 else f"{visits} times"
        lines.append(f"- {for_markdown(name)}, each image {times} per epoch; {source}")
    return "\n".join(lines)


def _results(release: Release, plots: Sequence[str]) -> str:
    validated = _validated(release)
    if not release.metrics:
        return validated or "These weights were not evaluated."
    scores = dict(pair for report in release.metrics.values() for pair in scores_of(report))
    rows = [["Data", "Split", "Images", *(label for label, _ in scores.values())]]
    rows.append(["---"] * len(rows[0]))
    for split, report in release.metrics.items():
        rows.append([for_markdown(report["title"]), split, f"{report['n']:,}"])
        rows[-1] += [_figure(report, score) for score in scores]
    parts = [
        "\n".join(f"| {' | '.join(row)} |" for row in rows),
        "AUC and ACC are as MedMNIST defines them. Brackets give 95 % bootstrap intervals over "
        "the images.",
    ]
    if release.seed_stats:
        acc, auc = release.seed_stats["acc"], release.seed_stats["auc"]
        parts.append(
            f"This is the best of {len(release.seed_stats['seeds'])} runs with different seeds, by "
            "validation AUC. Over all of them, on the test split (mean ± standard deviation): "
            f"AUC {auc['mean']:.4f} ± {auc['sd']:.4f}, ACC {acc['mean']:.4f} ± {acc['sd']:.4f}."
        )
    if validated and "val" not in release.metrics:
        parts.append(validated)
    return "\n\n".join([*parts, *(f"![{path}]({path})" for path in plots)])


def _validated(release: Release) -> str:
    """Describe the validation scores of the training, which the Hub should not list as results."""
    scores = [f"{_SCORES[name][0]} {value:.3f}" for name, value in release.validation.items()]
    if not scores:
        return ""
    removed = ", with the classifier that was then removed" if release.is_backbone else ""
    return (
        f"On the validation split{removed}, the selected epoch had {', '.join(scores)}. The epoch "
        "was selected by these scores, so they are not test results."
    )


def _figure(report: Mapping[str, Any], score: str) -> str:
    if report.get(score) is None:
        return "-"
    interval = report.get("intervals", {}).get(score)
    bounds = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return f"{report[score]:.3f}{bounds}"


def _training(release: Release) -> str:
    if not release.recipe:
        return "There is no record of the training."
    recipe = json.dumps(dict(release.recipe), indent=2, sort_keys=True)
    more = "".join(f" {text}" for text in (_teacher(release), _high_res(release)) if text)
    how = "Trained with `medzoo train` and this recipe."
    if release.is_backbone:
        how = "Trained with this recipe and a classifier that was then removed."
    if release.data.get("sets"):
        how = (
            "Trained with `benchmarks/release/backbone.py` of medzoo's repository and this recipe: "
            "all classes of all sets were the classes of one task. The classifier was then removed."
        )
    return f"{how}{more}\n\n```json\n{recipe}\n```"


def _teacher(release: Release) -> str:
    """Describe the teacher, as far as it is known."""
    share = release.recipe.get("distillation")
    if not share:
        return ""
    text = f"The answers of a teacher had a weight of {share:g} in the targets"
    if not release.teacher:
        return f"{text}; there is no record of which teacher."
    members = Counter(map(_member, release.teacher))
    if members.total() == 1:
        return f"{text}: {next(iter(members))}."
    listed = ", ".join(f"{count} x {member}" for member, count in members.items())
    return f"{text}, the mean of {members.total()} models: {listed}."


def _member(values: Mapping[str, Any]) -> str:
    """Describe one model of a teacher."""
    size, dataset, parameters = map(values.get, ("input_size", "dataset", "parameters"))
    parts = [
        f"made for {for_markdown(str(dataset))}" if dataset else "",
        f"input {' x '.join(map(str, size))}" if size else "",
        f"{parameters:,} parameters" if parameters else "",
    ]
    known = "; ".join(filter(None, parts))
    architecture = for_markdown(str(values["architecture"]))
    return f"{architecture} ({known})" if known else architecture


def _high_res(release: Release) -> str:
    """Describe the larger images that were augmented."""
    if not release.high_res:
        return ""
    size, md5 = release.high_res["size"], release.high_res["md5"]
    file = f" (md5 {as_markdown_code(str(md5))})" if md5 else ""
    return (
        f"The same images at {size} x {size} pixels{file} were augmented, and then scaled down to "
        "the model's input size."
    )


def _licence(release: Release) -> str:
    if not release.licence:
        return "Not stated; ask the author before you use the weights."
    text = (
        f"The licence of the weights is {for_markdown(release.licence)}; that of the medzoo "
        "library is Apache-2.0."
    )
    if is_noncommercial(release.licence):
        text += " The weights are for non-commercial use."
    return text
