"""The measurement: services take turns, each is loaded in the same ways, and medians count."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import medzoo
from benchmarks.serving.contestants import CONTESTANTS, MODEL
from benchmarks.serving.images import write_images
from benchmarks.serving.wrk import CONTENT_TYPE, Load, run_wrk, write_bodies

CLIENTS = (1, 8, 64)
_SHARE = 0.8  # of the highest rate
_IMAGES = 32


@dataclass(frozen=True)
class Effort:
    """How long it is measured.

    Attributes:
        rounds: Turns of each service, which is started for each of them.
        seconds: For each number of clients.
        steady: Seconds at 80 % of the highest rate.
    """

    rounds: int = 3
    seconds: float = 4
    steady: float = 7


QUICK = Effort(rounds=1, seconds=2, steady=3)


def measure(effort: Effort) -> dict[str, Any]:
    """Load all services.

    Args:
        effort: For how long.

    Returns:
        JSON-safe values: ``"predict"``, the milliseconds of `medzoo.predict`; and by service
        ``"loads"`` by number of clients, and ``"steady"`` at 80 % of the highest rate. All are
        medians over the rounds.
    """
    model = medzoo.create_model(MODEL, pretrained=True)
    predict: list[float] = []
    rounds: dict[str, list[dict[str, Load]]] = {name: [] for name in CONTESTANTS}
    with tempfile.TemporaryDirectory() as folder:
        images = write_images(Path(folder), _IMAGES)
        bodies = write_bodies(images, Path(folder))
        expected = [medzoo.predict(model, path).label for path in images]
        for turn in range(effort.rounds):
            predict.append(_predict_alone(model, [path.read_bytes() for path in images]))
            names = list(CONTESTANTS)
            for name in names[turn:] + names[:turn]:
                print(f"round {turn + 1}: {name} ...", file=sys.stderr, flush=True)
                with CONTESTANTS[name].serving() as address:
                    _check(name, address, bodies, expected)
                    rounds[name].append(measure_loads(address, bodies, effort))
    services = {name: medians(measured) for name, measured in rounds.items()}
    return {"predict": statistics.median(predict), "services": services}


def _predict_alone(model: medzoo.models.Classifier, contents: Sequence[bytes]) -> float:
    """Return the milliseconds that `medzoo.predict` takes for one file, without a service."""
    times = []
    for content in [*contents, *contents]:
        start = time.perf_counter()
        medzoo.predict(model, content)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def _check(name: str, address: str, bodies: Sequence[Path], expected: Sequence[str]) -> None:
    """Make sure that a service gives the right answers; this also warms it up."""
    for body, label in zip(bodies, expected, strict=True):
        request = urllib.request.Request(
            address, data=body.read_bytes(), headers={"Content-Type": CONTENT_TYPE}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.load(reply)
        (found,) = answer.get("predictions", [answer])
        if found["label"] != label:
            raise RuntimeError(f"{name} calls {body.name} {found['label']!r}, expected {label!r}")


def measure_loads(address: str, bodies: Sequence[Path], effort: Effort) -> dict[str, Load]:
    """Load a service: with several numbers of clients, and at 80 % of its highest rate.

    Args:
        address: Where images are sent.
        bodies: What is sent.
        effort: For how long.
    """
    run_wrk(address, bodies, 1, clients=CLIENTS[-1])
    loads = {
        str(clients): run_wrk(address, bodies, effort.seconds, clients=clients)
        for clients in CLIENTS
    }
    rate = _SHARE * max(load.rate for load in loads.values())
    # As many connections as requests in two seconds, so that one is free for nearly every request.
    connections = max(CLIENTS[-1], round(2 * rate))
    loads["steady"] = run_wrk(address, bodies, effort.steady, clients=connections, rate=rate)
    return loads


def medians(rounds: Sequence[Mapping[str, Load]]) -> dict[str, Any]:
    """Return the medians of what was measured in several rounds, and the sum of failures.

    Args:
        rounds: What `measure_loads` returns.
    """
    result: dict[str, Any] = {}
    for load in rounds[0]:
        rows = [asdict(measured[load]) | {"rate": measured[load].rate} for measured in rounds]
        median = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        result[load] = median | {"failed": sum(row["failed"] for row in rows)}
    return result
