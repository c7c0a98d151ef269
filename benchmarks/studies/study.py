"""What a study is, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from benchmarks.reporting.results_file import ResultsStore
from benchmarks.reproduction.source import Source
from medzoo.weights import weights_index


class Trial(Protocol):
    """One thing to measure."""

    @property
    def key(self) -> str:
        """Name of the trial in the results file; unique within the study."""


@dataclass(frozen=True)
class NamedTrial:
    """A trial that is fully described by its name.

    Attributes:
        key: Name of the trial in the results file.
    """

    key: str


TrialT = TypeVar("TrialT", bound=Trial)


def _always_current(record: Mapping[str, Any], trial: Trial, source: Source) -> bool:
    return True


@dataclass(frozen=True)
class Study(Generic[TrialT]):
    """A set of trials with the same kind of record.

    Attributes:
        name: Name of the study on the command line.
        description: What it answers, in a few words.
        results: File with one record per trial.
        trials: Returns the trials, in the order in which they are run.
        run: Runs one trial and returns its record, JSON-safe.
        table: Returns the records as Markdown.
        summary: Returns the main figures of a record, to print when the trial ends.
        is_current: Returns whether a record is what running its trial again would measure;
            by default it always is.
        of_weights: Whether keys of trials are names of published checkpoints. Records then say
            which file they are of (``"sha256"``), and are not current if there is another one.
    """

    name: str
    description: str
    results: ResultsStore
    trials: Callable[[], Sequence[TrialT]]
    run: Callable[[TrialT, Source], dict[str, Any]]
    table: Callable[[], str]
    summary: Callable[[Mapping[str, Any]], str]
    is_current: Callable[[Mapping[str, Any], TrialT, Source], bool] = _always_current
    of_weights: bool = False

    def selected(self, only: str = "") -> list[TrialT]:
        """Return the trials whose key contains a text.

        Args:
            only: The text; empty for all trials.
        """
        return [trial for trial in self.trials() if only in trial.key]

    def run_missing(
        self, source: Source, only: str = "", again: bool = False
    ) -> Iterator[tuple[TrialT, dict[str, Any]]]:
        """Run the trials that have no current record; write each record when its trial ends.

        Args:
            source: Source of the images.
            only: Run only trials whose key contains this text.
            again: Also run trials that have a current record.

        Yields:
            Each trial that was run, with its record.
        """
        for trial in self.selected(only):
            known = self.results.find(trial.key)  # another process may have added it by now
            about = {"sha256": weights_index()[trial.key].sha256} if self.of_weights else {}
            is_of_these = known is not None and about.items() <= known.items()
            if known and is_of_these and not again and self.is_current(known, trial, source):
                continue
            record = about | self.run(trial, source)
            self.results.save(trial.key, record)
            yield trial, record
