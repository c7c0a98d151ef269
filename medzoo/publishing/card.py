"""The model card: metadata for the Hub, and the text about weights, results and limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from medzoo.datasets import list_datasets
from medzoo.publishing.card_sections import card_text, scores_of
from medzoo.publishing.release import Release

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


def model_card(
    release: Release, repo_id: str, *, in_timm: bool = True, plots: Sequence[str] = ()
) -> ModelCard:
    """Write the model card of a repository.

    The same release gives the same card, so that a repository changes only if its weights or
    their record do.

    Args:
        release: What is published.
        repo_id: Where: ``"organisation/name"``.
        in_timm: Whether timm can build the network from the repository.
        plots: Figures in the repository to show, as paths.
    """
    metadata = _metadata(release, repo_id.partition("/")[2], in_timm)
    text = card_text(release, repo_id, in_timm, plots)
    return ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n{text}\n")


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
    """Return a licence as the Hub writes it; None if it is empty.

    Args:
        licence: ``"CC BY-NC 4.0"`` becomes ``"cc-by-nc-4.0"``; a licence that the Hub does not
            know becomes ``"other"``.
    """
    name = licence.lower().replace(" ", "-")
    return name if name in HUB_LICENCES else ("other" if name else None)


def _eval_results(release: Release) -> Iterator[EvalResult]:
    info = release.spec.dataset
    for split, report in release.metrics.items():
        for score, (label, metric) in scores_of(report):
            yield EvalResult(
                task_type="image-classification",
                dataset_type=report.get("dataset") or (info.name if info else "unknown"),
                dataset_name=report["title"],
                dataset_split=split,
                metric_type=metric,
                metric_name=label,
                metric_value=report[score],
            )
