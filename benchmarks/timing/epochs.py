"""Trainings that other code drives, stopped after each epoch so that others can take a turn."""

from __future__ import annotations

from collections.abc import Callable
from threading import Semaphore, Thread
from types import TracebackType

Pause = Callable[[], None]


class _EndedError(BaseException):
    """Raised within a training that goes no further; no error, so not for its error handlers."""


class EpochByEpoch:
    """A training, of which each call runs one epoch. Use it in a `with` block.

    It runs in a thread of its own, which waits while others take their turns.

    Args:
        fit: Trains for ever, and calls the function that it is given after each epoch.

    Example:
        >>> def fit(pause):
        ...     while True:
        ...         print("an epoch")
        ...         pause()
        >>> with EpochByEpoch(fit) as epoch:
        ...     epoch()
        an epoch
    """

    def __init__(self, fit: Callable[[Pause], object]) -> None:
        self._go, self._done = Semaphore(0), Semaphore(0)
        self._ends = False
        self._error: BaseException | None = None
        self._thread = Thread(target=self._train, args=(fit,), daemon=True)

    def __enter__(self) -> EpochByEpoch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends = True
        self._go.release()
        self._thread.join()

    def __call__(self) -> None:
        """Train for one epoch.

        Raises:
            RuntimeError: If the training has failed, or has ended by itself.
        """
        if self._error is None:
            self._go.release()
            self._done.acquire()
        if self._error is not None:
            raise RuntimeError(f"the training has ended: {self._error!r}") from self._error

    def _train(self, fit: Callable[[Pause], object]) -> None:
        self._go.acquire()
        try:
            if not self._ends:
                fit(self._pause)
                raise RuntimeError("fit() has returned")
        except _EndedError:
            pass
        except BaseException as error:  # for the thread that waits
            self._error = error
        finally:
            self._done.release()

    def _pause(self) -> None:
        self._done.release()
        self._go.acquire()
        if self._ends:
            raise _EndedError
