"""`publish`: all weights that the index lists, one after the other, as often as it takes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from medzoo.errors import WeightsError, unknown_name
from medzoo.publishing.push import Publication, push_to_hub
from medzoo.weights import INDEX, read_index, write_index


def publish(
    organisation: str,
    names: Sequence[str] = (),
    *,
    index: str | Path = INDEX,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
    dry_run: bool = False,
) -> Iterator[Publication]:
    """Publish the index's weights, and write into it where they are.

    Each goes into a repository of its own name and is entered into the index as soon as it is
    there. After a failure, the same call goes on: what is up to date is only looked at.

    Args:
        organisation: On the Hub, or a user.
        names: Which weights; by default all.
        index: The index file, which is also written; by default the package's own.
        private: Make private repositories.
        revision: A branch; by default the main one.
        token: As in `push_to_hub`.
        dry_run: Only say what would be uploaded.

    Yields:
        What was published, one after the other.

    Raises:
        ValueError: If a name is not in the index.
        WeightsError: If the index cannot be read or written, or the Hub does not take the weights.
        ImportError: If matplotlib is not installed, which draws the model card's plots.
    """
    entries = read_index(index)
    for name in names:
        if name not in entries:
            raise unknown_name("weights", name, entries)
    if not dry_run and not os.access(index, os.W_OK):
        raise WeightsError(
            f"{index} cannot be written, so nobody would know what was published; give the path "
            "of a copy as index (--index)"
        )
    for done, name in enumerate(wanted := list(names or entries)):
        entry = entries[name]
        try:
            publication = push_to_hub(
                entry,
                f"{organisation}/{name}",
                private=private,
                revision=revision,
                token=token,
                dry_run=dry_run,
            )
        except WeightsError as error:
            raise WeightsError(
                f"{error}. {done} of {len(wanted)} are up to date; the same command goes on there"
            ) from error
        if publication.commit and not dry_run:
            hub = {"repo_id": publication.repo_id, "revision": publication.commit}
            if entry.hub != hub:
                entries[name] = replace(entry, hub=hub)
                write_index(entries, index)
        yield publication
