"""Give up on work that takes too long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def run_with_timeout(seconds: float, work: Callable[[], T]) -> T:
    """Run a function; raise `TimeoutError` after `seconds`.

    Libraries for HTTP limit the time of each attempt or of each read, but not their number, for
    example while a server keeps closing the connection or sends its answer byte by byte.

    Args:
        seconds: How long to wait.
        work: The function. If it takes longer, its thread continues in the background.

    Returns:
        What the function returns.

    Raises:
        TimeoutError: If it takes longer.
        Exception: What the function raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"it took longer than {seconds:g} s")
    return results[0]
