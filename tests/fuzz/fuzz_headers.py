"""Read thousands of damaged headers and metadata, each of which must be read or refused.

A file counts as refused if it raises the documented error. Any other error is a fault.

    python -m tests.fuzz.fuzz_headers [--files 20000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

from tests.fuzz.readers import cases, outcome


def main() -> None:
    """Run and print the results; exit with 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000, help="of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--kind", help="only this kind")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, case in cases().items():
            if arguments.kind not in (None, name):
                continue
            became: Counter[str] = Counter()
            for number in range(arguments.first, arguments.first + arguments.files):
                found = outcome(case, Path(folder, "file"), number)
                if found not in ("read", "refused"):
                    print(f"fault: {name} {number}: {found}", file=sys.stderr)
                    found = "fault"
                became[found] += 1
            faults += became["fault"]
            print(f"{name:12} {dict(became)}", flush=True)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
