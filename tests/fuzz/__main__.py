"""Try damaged files of every kind for a time; each must be read or refused.

An attempt counts as refused if it raises the documented error. Anything else is a fault: another
error, a crash, or more than the time or memory allowed. Each attempt has a number, from which it
can be repeated.

    python -m tests.fuzz --minutes 60
    python -m tests.fuzz --kind images --first 4711 --attempts 1
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.fuzz.attempts import attempts, kinds

EXPECTED = ("read", "refused")
MEGABYTES = 1500.0  # additional memory allowed for one kind


def main() -> None:
    """Run and print the results; exit with 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5, help="for all kinds together")
    parser.add_argument("--attempts", type=int, default=10**9, help="at most, of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first attempt")
    parser.add_argument("--kind", choices=sorted(modules := kinds()), help="only this kind")
    arguments = parser.parse_args()
    chosen = [arguments.kind] if arguments.kind else sorted(modules)
    faults = 0
    for kind in chosen:
        ends = 0.0
        became: Counter[str] = Counter()
        slowest = most = 0.0
        for number, found, seconds, megabytes in attempts(modules[kind], kind, arguments.first):
            # Its time begins with the first outcome, after everything has been imported.
            ends = ends or time.monotonic() + 60 * arguments.minutes / len(chosen)
            slowest, most = max(slowest, seconds), max(most, megabytes)
            if found in EXPECTED and megabytes > MEGABYTES:
                found = f"{megabytes:.0f} MB"
            if found not in EXPECTED:
                print(f"fault: --kind '{kind}' --first {number}: {found}", file=sys.stderr)
                found = "faults"
            became[found] += 1
            if became.total() >= arguments.attempts or time.monotonic() > ends:
                break
        faults += became["faults"]
        counts = ", ".join(f"{became[name]} {name}" for name in (*EXPECTED, "faults"))
        costs = f"at most {slowest:.1f} s, {most:.0f} MB"
        print(f"{kind:16} {became.total()} attempts: {counts}; {costs}", flush=True)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
