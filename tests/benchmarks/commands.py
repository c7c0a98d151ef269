"""Running the commands of benchmarks/ as a user does: from the repository, without PYTHONPATH."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def without_path():
    """Return the environment variables without PYTHONPATH, which a user has not set."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
