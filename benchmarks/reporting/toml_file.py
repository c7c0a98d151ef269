"""Reading TOML on every supported Python."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Args:
        path: The file.
    """
    return tomllib.loads(path.read_text(encoding="utf-8"))
