"""What was measured: one record per processor in ``results/speed.json``, the newest of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.reporting.paths import RESULTS
from benchmarks.speed_cases.measurement import Measurement
from medzoo.files import write_atomically

SPEED = RESULTS / "speed.json"


def read(path: Path | None = None) -> list[dict[str, Any]]:
    """Return the records, the newest first: each has ``machine``, and ``works``: rows by case.

    Args:
        path: The file; by default the one of the repository. If it does not exist, it has none.
    """
    path = SPEED if path is None else path
    if not path.exists():
        return []
    records: list[dict[str, Any]] = json.loads(path.read_text())["machines"]
    return sorted(records, key=lambda record: record["machine"]["date"], reverse=True)


def measurements(record: Mapping[str, Any], *cases: str) -> list[Measurement]:
    """Return the measured rows of some cases.

    Args:
        record: One of `read`.
        *cases: Names of cases, as in speed.py.
    """
    return [Measurement.from_dict(row) for case in cases for row in record["works"].get(case, [])]


def newest(*cases: str) -> tuple[Mapping[str, Any], list[Measurement]]:
    """Return the newest record of a CPU in which all of some cases were measured, and their rows.

    Args:
        *cases: Names of cases, as in speed.py.
    """
    record = next(
        one
        for one in read()
        if set(cases) <= set(one["works"]) and not one["machine"]["instructions"].startswith("CUDA")
    )
    return record, measurements(record, *cases)


def measured(machine: Mapping[str, Any], path: Path | None = None) -> set[str]:
    """Return the cases that were measured on this processor with these versions.

    Args:
        machine: As `benchmarks.timing.machine.machine` returns it.
        path: As for `read`.
    """
    same = next((one for one in read(path) if _is_same(one["machine"], machine)), None)
    return set(same["works"]) if same and _is_current(same["machine"], machine) else set()


def durations(machine: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds that measuring each case took, on this processor if that is known.

    Args:
        machine: As `benchmarks.timing.machine.machine` returns it.
    """
    records = sorted(read(), key=lambda one: _is_same(one["machine"], machine))
    return {case: took for one in records for case, took in one.get("durations", {}).items()}


def save(
    machine: Mapping[str, Any],
    case: str,
    rows: Sequence[Measurement],
    seconds: float,
    path: Path | None = None,
) -> None:
    """Write the rows of a case, in place of earlier ones of the same processor.

    Rows of other versions of the packages, or with a note that says why they are out of date, are
    removed: all rows of a record can be compared.

    Args:
        machine: As `benchmarks.timing.machine.machine` returns it.
        case: Name of the case.
        rows: What was measured.
        seconds: How long that took.
        path: As for `read`.
    """
    records = read(path)
    others = [one for one in records if not _is_same(one["machine"], machine)]
    same = next((one for one in records if _is_same(one["machine"], machine)), None)
    works, took, peak = {}, {}, machine["peak_gflops"]
    if same is not None:
        took = same.get("durations", {})
        peak = max(peak, same["machine"]["peak_gflops"])  # the highest rate ever measured
        if _is_current(same["machine"], machine):
            works = same["works"]
    own = {
        "machine": {**machine, "peak_gflops": peak},
        "durations": {**took, case: round(seconds, 1)},
        "works": {**works, case: [row.to_dict() for row in rows]},
    }
    _write([own, *others], path)


def merge(path: Path) -> list[str]:
    """Add the records of another file, in place of the same rows of the same processors.

    Args:
        path: A file that was written on another machine.

    Returns:
        The processors.

    Raises:
        ValueError: If it holds no records, or one of other versions that is older than the one
            here.
    """
    if not (added := read(path)):
        raise ValueError(f"{path} holds no measurements; expected a file that speed.py has written")
    known = read()
    for one in added:
        for other in [other for other in known if _is_same(other["machine"], one["machine"])]:
            known.remove(other)
            dates = [each["machine"]["date"] for each in (one, other)]
            if _is_current(other["machine"], one["machine"]):
                peaks = [each["machine"]["peak_gflops"] for each in (one, other)]
                one["machine"] |= {"date": max(dates), "peak_gflops": max(peaks)}
                for key in ("works", "durations"):
                    one[key] = {**other[key], **one[key]}
            elif dates[0] < dates[1]:
                raise ValueError(
                    f"{path} was measured on {dates[0]} with other versions than the record of "
                    f"{dates[1]} of {one['machine']['processor']} here; delete that one to go back"
                )
    _write([*added, *known])
    return [one["machine"]["processor"] for one in added]


def _write(records: Sequence[Mapping[str, Any]], path: Path | None = None) -> None:
    content = json.dumps({"machines": records}, indent=2) + "\n"
    write_atomically(SPEED if path is None else path, content.encode())


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[key] == other[key] for key in ("processor", "instructions", "cores"))


def _is_current(one: Mapping[str, Any], machine: Mapping[str, Any]) -> bool:
    return bool(one["versions"] == machine["versions"] and "note" not in one)
