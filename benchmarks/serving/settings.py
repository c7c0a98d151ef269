"""Measure ``medzoo serve`` with other settings than those that it chooses.

    python -m benchmarks.serving.settings            # five minutes, on an idle machine
    python -m benchmarks.serving.settings --quick    # a rough answer in a minute and a half

Nothing is written. It shows whether the constants of `medzoo.serving` suit a machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.reporting.format import markdown_table
from benchmarks.serving.contestants import MODEL, Contestant
from benchmarks.serving.images import write_images
from benchmarks.serving.measure import CLIENTS, QUICK, Effort, measure_loads, medians
from benchmarks.serving.report import cell
from benchmarks.serving.wrk import Load, check_wrk, write_bodies

_RUN = "import sys; from medzoo.cli.main import main; sys.exit(main())"


@dataclass(frozen=True)
class Setting:
    """A setting.

    Attributes:
        environment: Variables of the environment.
        before: Python that runs before the service is started.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    before: str = ""

    @property
    def contestant(self) -> Contestant:
        """The service with this setting."""
        command = ("-c", f"{self.before}\n{_RUN}", "serve", MODEL, "--port", "{port}")
        return Contestant(command, f"/v1/models/{MODEL}/predict", self.environment)


_THREADS = "import medzoo.serving.models as models; models._OTHER_WORK = {}"  # imports PyTorch
_INTERVAL = "import sys; sys.setswitchinterval({})"
SETTINGS = {
    "as it is": Setting(),
    "model in one thread": Setting(before=_THREADS.format(1e9)),
    **{
        f"in all threads, GOMP_SPINCOUNT={count}": Setting(
            {"GOMP_SPINCOUNT": str(count)}, _THREADS.format(0)
        )
        for count in (100, 1000, 3000, 10000)
    },
    **{
        f"switch interval {1000 * seconds:g} ms": Setting(before=_INTERVAL.format(seconds))
        for seconds in (0.0005, 0.002, 0.02)
    },
}


def main() -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round")
    effort = QUICK if parser.parse_args().quick else Effort(rounds=2, seconds=3, steady=4)
    check_wrk()
    rounds: dict[str, list[dict[str, Load]]] = {name: [] for name in SETTINGS}
    with tempfile.TemporaryDirectory() as folder:
        bodies = write_bodies(write_images(Path(folder), 32), Path(folder))
        for turn in range(effort.rounds):
            names = list(SETTINGS)
            for name in names[::-1] if turn % 2 else names:
                print(f"round {turn + 1}: {name} ...", file=sys.stderr, flush=True)
                with SETTINGS[name].contestant.serving() as address:
                    rounds[name].append(measure_loads(address, bodies, effort))
    keys = (*map(str, CLIENTS), "steady")
    rows = []
    for name, measured in rounds.items():
        loads = medians(measured)
        rows.append((name, *(cell(loads[key]) for key in keys)))
    header = ("Setting", *(f"{count} clients" for count in CLIENTS), "at 80 %")
    print(markdown_table(header, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
