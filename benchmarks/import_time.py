"""Measure what ``import medzoo`` costs beyond ``import torch``; medians of fresh processes.

python benchmarks/import_time.py            # the comparison
python -X importtime -c "import medzoo"     # where the time goes
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "import_time.json"
STATEMENTS = ("pass", "import torch", "import torch, medzoo", "import medzoo")
REPEATS = 7


def seconds(statement: str) -> float:
    """Time one fresh interpreter that runs a statement."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure, print and write the results."""
    seconds("import torch, medzoo")  # so that no file is read from disk for the first time
    runs: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for _ in range(REPEATS):
        for statement in STATEMENTS:
            runs[statement].append(seconds(statement))
    medians = {statement: statistics.median(times) for statement, times in runs.items()}
    for statement, median in medians.items():
        print(f"{statement:22} {median:6.3f} s")
    extra = medians["import torch, medzoo"] - medians["import torch"]
    print(f"medzoo adds {extra:.3f} s to import torch")
    values = {"seconds": medians, "over_torch": extra, "python": platform.python_version()}
    RESULTS.write_text(json.dumps(values, indent=2) + "\n")


if __name__ == "__main__":
    main()
