"""Measure ``medzoo serve`` beside LitServe and plain FastAPI routes.

    python -m benchmarks.serving            # six minutes, on an idle machine
    python -m benchmarks.serving --quick    # a rough answer in a minute; only printed

All serve the same model, with the same preprocessing, to the same load generator on the same
processors, in turns. Needs ``pip install '.[bench]'`` and wrk (on Debian: ``apt-get install wrk``).
What was measured is written to ``benchmarks/results/serving.json``.
"""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.serving.measure import QUICK, Effort, measure
from benchmarks.serving.report import SERVING, tables
from benchmarks.serving.wrk import check_wrk
from benchmarks.timing.machine import machine
from medzoo.files import write_atomically


def main() -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round; only printed")
    quick = parser.parse_args().quick
    check_wrk()
    values = {"machine": machine(), **measure(QUICK if quick else Effort())}
    if not quick:
        write_atomically(SERVING, (json.dumps(values, indent=2) + "\n").encode())
    print(tables(values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
