"""Measure `medzoo.datasets.find_leakage` on pairs that are known, and run it on other sets.

    python benchmarks/leakage.py --data-root <folder>    # measure; needs dermamnist_lesions.csv there
    python benchmarks/leakage.py --table                 # the tables out of the results

The known pairs are photographs of one lesion in two of DermaMNIST's splits. How images are compared
and the default threshold were chosen on the pairs between train and val; the pairs with the test
split were measured after that.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

import medzoo
from medzoo.datasets import Dataset, LeakageReport, disjoint_split, find_leakage, read_groups
from medzoo.datasets.leakage.search import DEFAULT_THRESHOLD

RESULTS = Path(__file__).parent / "results" / "leakage.json"
KNOWN, LESIONS = "dermamnist", "dermamnist_lesions.csv"
OTHERS = ("breastmnist", "retinamnist", "pneumoniamnist")
COMPARED = (("train", "val"), ("train", "test"))
THRESHOLDS = tuple(sorted({0.3, 0.4, DEFAULT_THRESHOLD, 0.6, 0.7}))

Pairs = set[tuple[int, int]]


def measure(root: Path) -> dict[str, Any]:
    """Run the search on every set that is there; return the results."""
    data, report, seconds = search(KNOWN, root)
    lesions = read_groups(root / LESIONS, data, "lesion_id")
    found = {pair: score(report, known_pairs(data, lesions, *pair), *pair) for pair in COMPARED}
    kept = disjoint_split(data, lesions)
    return {
        "known": {
            **summary(data, report, seconds),
            "official_split": official_split(data, lesions),
            "disjoint_split": {name: len(positions) for name, positions in kept.items()},
            "scores": {"-".join(pair): rows for pair, rows in found.items()},
        },
        "others": {name: summary(*search(name, root)) for name in OTHERS},
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def search(name: str, root: Path) -> tuple[Dataset, LeakageReport, dict[str, float]]:
    """Search a set up to the largest threshold, and time it: by the clock, and of the processor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the title in the results says what the warning says
        data = medzoo.load_dataset(name, root=root, download=False)
    wall, processor = time.perf_counter(), time.process_time()
    report = find_leakage(data, threshold=max(THRESHOLDS))
    seconds = {
        "wall": round(time.perf_counter() - wall, 1),
        "processor": round(time.process_time() - processor, 1),
    }
    print(f"{data.title}: {seconds['processor']} s", flush=True)
    return data, report, seconds


def known_pairs(data: Dataset, lesions: list[str], a: str, b: str) -> Pairs:
    """Return the positions of images of one lesion, the one in split a, the other in split b."""
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
    """Return what was found between two splits below a threshold."""
    return {
        (pair.index_a, pair.index_b)
        for pair in report.pairs
        if pair.distance < threshold and (pair.split_a, pair.split_b) == (a, b)
    }


def score(report: LeakageReport, known: Pairs, a: str, b: str) -> list[dict[str, Any]]:
    """Return precision and recall at each threshold, of pairs and of the later split's images."""
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
    """Compare two sets."""
    right = len(found & known)
    return {
        "found": len(found),
        "known": len(known),
        "precision": round(right / len(found), 4) if found else None,
        "recall": round(right / len(known), 4) if known else None,
    }


def official_split(data: Dataset, lesions: list[str]) -> dict[str, dict[str, int]]:
    """Count what the official split shares: lesions, pairs, and images of the later split."""
    counts: dict[str, dict[str, int]] = {}
    first = 0
    of: dict[str, list[str]] = {}
    for name, split in data.splits.items():
        of[name] = lesions[first : first + len(split)]
        first += len(split)
    for a, b in (*COMPARED, ("val", "test")):
        shared = set(of[a]) & set(of[b])
        counts[f"{a}-{b}"] = {
            "lesions": len(shared),
            "pairs": len(known_pairs(data, lesions, a, b)),
            "images": sum(lesion in shared for lesion in of[b]),
        }
    earlier = {*of["train"], *of["val"]}
    counts["any-test"] = {"images": sum(lesion in earlier for lesion in of["test"])}
    return counts


def summary(data: Dataset, report: LeakageReport, seconds: dict[str, float]) -> dict[str, Any]:
    """Tell what was found at the default threshold, in which images."""
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
    """Return the results as Markdown tables: how well known pairs are found, and what is found."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    known = results["known"]
    lines = [
        f"Known pairs of {known['data']}:\n",
        "| Splits | Distance below | Pairs found / known | Precision | Recall "
        "| Images found / known | Precision | Recall |\n|---|---|---|---|---|---|---|---|",
    ]
    for splits, rows in known["scores"].items():
        for row in rows:
            default = " (default)" if row["threshold"] == known["threshold"] else ""
            lines.append(
                f"| {splits} | {row['threshold']:g}{default} | {_cells(row['pairs'])} "
                f"| {_cells(row['images'])} |"
            )
    lines += [
        f"\nFound below {known['threshold']:g}:\n",
        "| Data set | train-val | train-test | val-test | Test images affected | Seconds |"
        "\n|---|---|---|---|---|---|",
    ]
    for row in (known, *results["others"].values()):
        pairs = [f"{row['pairs'].get(k, 0):,}" for k in ("train-val", "train-test", "val-test")]
        total = row["sizes"]["test"]
        lines.append(
            f"| {row['data']} | {' | '.join(pairs)} | {row['test_images']:,} of {total:,} "
            f"({row['test_images'] / total:.1%}) | {row['seconds']['processor']:.0f} |"
        )
    lines.append(f"\nSeconds of the processor, {results['threads']} thread(s).")
    return "\n".join(lines)


def _cells(scores: dict[str, Any]) -> str:
    shares = [
        "-" if scores[key] is None else f"{scores[key]:.1%}" for key in ("precision", "recall")
    ]
    return f"{scores['found']:,} / {scores['known']:,} | {' | '.join(shares)}"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", help="folder of the MedMNIST files; else MEDZOO_DATA")
    parser.add_argument("--table", action="store_true", help="only print the tables")
    arguments = parser.parse_args()
    if not arguments.table:
        root = arguments.data_root or os.environ.get("MEDZOO_DATA")
        if not root:
            parser.error("give the folder of the files as --data-root, or set MEDZOO_DATA")
        partial = RESULTS.with_suffix(".partial")
        partial.write_text(json.dumps(measure(Path(root)), indent=2) + "\n", encoding="utf-8")
        partial.replace(RESULTS)
    print(table())


if __name__ == "__main__":
    main()
