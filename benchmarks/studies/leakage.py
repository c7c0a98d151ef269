"""Leakage between splits: `medzoo.datasets.find_leakage` on known pairs, and on other data sets.

The known pairs are photographs of one lesion in two splits of DermaMNIST, from the file
``dermamnist_lesions.csv`` in the data folder. The way of comparing images and the default threshold
were chosen on the pairs between train and val; pairs with the test split were measured afterwards.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.reporting.format import markdown_table
from benchmarks.reporting.paths import RESULTS
from benchmarks.reporting.results_file import SingleResult
from benchmarks.reproduction.source import Source
from benchmarks.studies.study import NamedTrial, Study
from medzoo.datasets import Dataset, LeakageReport, disjoint_split, find_leakage, read_groups
from medzoo.datasets.leakage.search import DEFAULT_THRESHOLD
from medzoo.errors import DatasetError

RECORD = SingleResult(RESULTS / "leakage.json")
KNOWN, LESIONS = "dermamnist", "dermamnist_lesions.csv"
OTHERS = ("breastmnist", "retinamnist", "pneumoniamnist")
COMPARED = (("train", "val"), ("train", "test"))
THRESHOLDS = tuple(sorted({0.3, 0.4, DEFAULT_THRESHOLD, 0.6, 0.7}))
SCORES_HEADER = (
    "Splits",
    "Distance below",
    "Pairs found / known",
    "Precision",
    "Recall",
    "Images found / known",
    "Precision",
    "Recall",
)
FOUND_HEADER = (
    "Data set",
    "train-val",
    "train-test",
    "val-test",
    "Test images affected",
    "Seconds",
)

Pairs = set[tuple[int, int]]


def run(trial: NamedTrial, source: Source) -> dict[str, Any]:
    """Search all data sets for leakage and return one record of all.

    Args:
        trial: The only trial.
        source: Source of the images; its folder must hold `LESIONS`.

    Raises:
        DatasetError: If neither the source nor MEDZOO_DATA names a folder.
    """
    folder = source.root or os.environ.get("MEDZOO_DATA")
    if not folder:
        raise DatasetError(f"give the folder of {LESIONS} as --data-root, or set MEDZOO_DATA")
    data, report, seconds = search(KNOWN, source)
    lesions = read_groups(Path(folder) / LESIONS, data, "lesion_id")
    found = {pair: score(report, known_pairs(data, lesions, *pair), *pair) for pair in COMPARED}
    kept = disjoint_split(data, lesions)
    return {
        "known": {
            **summary(data, report, seconds),
            "official_split": official_split(data, lesions),
            "disjoint_split": {name: len(positions) for name, positions in kept.items()},
            "scores": {"-".join(pair): rows for pair, rows in found.items()},
        },
        "others": {name: summary(*search(name, source)) for name in OTHERS},
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def search(name: str, source: Source) -> tuple[Dataset, LeakageReport, dict[str, float]]:
    """Search a data set up to the largest threshold; measure wall-clock and processor time.

    Args:
        name: Name of the data set.
        source: Source of the images.
    """
    data = source.load(name)
    wall, processor = time.perf_counter(), time.process_time()
    report = find_leakage(data, threshold=max(THRESHOLDS))
    seconds = {
        "wall": round(time.perf_counter() - wall, 1),
        "processor": round(time.process_time() - processor, 1),
    }
    print(f"{data.title}: {seconds['processor']} s", flush=True)
    return data, report, seconds


def known_pairs(data: Dataset, lesions: list[str], a: str, b: str) -> Pairs:
    """Return the positions of all pairs of images of one lesion in two splits.

    Args:
        data: The data set.
        lesions: Lesion of each image, over all splits.
        a: Split of the first image.
        b: Split of the second image.
    """
    places: dict[str, dict[str, list[int]]] = {"train": {}, "val": {}, "test": {}}
    position = 0
    for name, split in data.splits.items():
        for index in range(len(split)):
            places[name].setdefault(lesions[position], []).append(index)
            position += 1
    return {
        (i, j) for lesion, js in places[b].items() for i in places[a].get(lesion, ()) for j in js
    }


def found_pairs(report: LeakageReport, threshold: float, a: str, b: str) -> Pairs:
    """Return the pairs that were found between two splits.

    Args:
        report: Result of the search.
        threshold: Upper bound on the distance.
        a: Split of the first image.
        b: Split of the second image.
    """
    return {
        (pair.index_a, pair.index_b)
        for pair in report.pairs
        if pair.distance < threshold and (pair.split_a, pair.split_b) == (a, b)
    }


def score(report: LeakageReport, known: Pairs, a: str, b: str) -> list[dict[str, Any]]:
    """Return precision and recall at each threshold, of pairs and of images of split b.

    Args:
        report: Result of the search.
        known: Pairs of images of one lesion.
        a: Split of the first image.
        b: Split of the second image.
    """
    rows = []
    for threshold in THRESHOLDS:
        found = found_pairs(report, threshold, a, b)
        rows.append(
            {
                "threshold": threshold,
                "pairs": precision_recall(found, known),
                "images": precision_recall({j for _, j in found}, {j for _, j in known}),
            }
        )
    return rows


def precision_recall(found: set[Any], known: set[Any]) -> dict[str, Any]:
    """Return the sizes of two sets, and precision and recall of the first.

    Args:
        found: What was found.
        known: What should have been found.
    """
    right = len(found & known)
    return {
        "found": len(found),
        "known": len(known),
        "precision": round(right / len(found), 4) if found else None,
        "recall": round(right / len(known), 4) if known else None,
    }


def official_split(data: Dataset, lesions: list[str]) -> dict[str, dict[str, int]]:
    """Count the lesions, pairs and images that the official splits share.

    Args:
        data: The data set.
        lesions: Lesion of each image, over all splits.
    """
    counts: dict[str, dict[str, int]] = {}
    first = 0
    lesions_of: dict[str, list[str]] = {}
    for name, split in data.splits.items():
        lesions_of[name] = lesions[first : first + len(split)]
        first += len(split)
    for a, b in (*COMPARED, ("val", "test")):
        shared = set(lesions_of[a]) & set(lesions_of[b])
        counts[f"{a}-{b}"] = {
            "lesions": len(shared),
            "pairs": len(known_pairs(data, lesions, a, b)),
            "images": sum(lesion in shared for lesion in lesions_of[b]),
        }
    earlier = {*lesions_of["train"], *lesions_of["val"]}
    counts["any-test"] = {"images": sum(lesion in earlier for lesion in lesions_of["test"])}
    return counts


def summary(data: Dataset, report: LeakageReport, seconds: dict[str, float]) -> dict[str, Any]:
    """Summarise what was found at the default threshold.

    Args:
        data: The data set.
        report: Result of the search.
        seconds: Wall-clock and processor time.
    """
    counts: dict[str, int] = defaultdict(int)
    test: set[int] = set()
    for pair in report.pairs:
        if pair.distance < DEFAULT_THRESHOLD:
            counts[f"{pair.split_a}-{pair.split_b}"] += 1
            if pair.split_b == "test":
                test.add(pair.index_b)
    return {
        "data": data.title,
        "provenance": data.provenance.to_dict(),
        "sizes": report.sizes,
        "threshold": DEFAULT_THRESHOLD,
        "pairs": dict(counts),
        "test_images": len(test),
        "seconds": seconds,
    }


def table() -> str:
    """Return two Markdown tables: how well known pairs are found, and what is found elsewhere."""
    record = RECORD.read()
    known = record["known"]
    scores, found = [], []
    for splits, rows in known["scores"].items():
        for row in rows:
            default = " (default)" if row["threshold"] == known["threshold"] else ""
            threshold = f"{row['threshold']:g}{default}"
            scores.append((splits, threshold, *_cells(row["pairs"]), *_cells(row["images"])))
    for row in (known, *record["others"].values()):
        pairs = [f"{row['pairs'].get(k, 0):,}" for k in ("train-val", "train-test", "val-test")]
        total = row["sizes"]["test"]
        affected = f"{row['test_images']:,} of {total:,} ({row['test_images'] / total:.1%})"
        found.append((row["data"], *pairs, affected, f"{row['seconds']['processor']:.0f}"))
    return (
        f"Known pairs of {known['data']}:\n\n{markdown_table(SCORES_HEADER, scores)}\n\n"
        f"Found below {known['threshold']:g}:\n\n{markdown_table(FOUND_HEADER, found)}\n\n"
        f"Seconds are processor time, with {record['threads']} thread(s)."
    )


def _cells(scores: dict[str, Any]) -> tuple[str, str, str]:
    precision, recall = (
        "-" if scores[key] is None else f"{scores[key]:.1%}" for key in ("precision", "recall")
    )
    return f"{scores['found']:,} / {scores['known']:,}", precision, recall


LEAKAGE = Study(
    name="leakage",
    description="how well leakage between splits is found",
    results=RECORD,
    trials=lambda: [NamedTrial("leakage")],
    run=run,
    table=table,
    summary=lambda record: f"{record['known']['pairs']}",
)
