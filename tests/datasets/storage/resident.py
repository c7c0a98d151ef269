"""How much of a mapped file is in memory."""

from pathlib import Path


def resident(path: Path) -> int:
    """Bytes of a mapped file that are in this process's memory."""
    with Path("/proc/self/smaps").open() as lines:  # whose end is slow to read
        for line in lines:
            if line.endswith(f"{path}\n"):
                return next(int(rest.split()[1]) << 10 for rest in lines if rest.startswith("Rss:"))
    raise AssertionError(f"{path} is not mapped")
