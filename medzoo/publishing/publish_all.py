"""`publish`: publish all weights of the index; can be repeated until it succeeds."""

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
    """Publish the weights of the index, and record their repositories in it.

    Each checkpoint gets a repository of its name, and is recorded in the index as soon as it is
    uploaded. After a failure, repeat the call: nothing that is up to date is uploaded again.

    Args:
        organisation: An organisation or a user on the Hub.
        names: Which weights; by default all.
        index: The index file, which is also written; by default the one in the package.
        private: Make private repositories.
        revision: A branch; by default the main one.
        token: As in `push_to_hub`.
        dry_run: Only report what would be uploaded.

    Yields:
        Each publication, as soon as it is complete.

    Raises:
        ValueError: If a name is not in the index.
        WeightsError: If the index cannot be read or written, or the Hub rejects the weights.
        ImportError: If matplotlib is not installed, which draws the plots of the model card.
    """
    entries = read_index(index)
    for name in names:
        if name not in entries:
            raise unknown_name("weights", name, entries)
    if not dry_run and not os.access(index, os.W_OK):
        raise WeightsError(
            f"{index} cannot be written, so what is published could not be recorded; give the "
            "path of a copy as index (--index)"
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
                f"{error}. {done} of {len(wanted)} are up to date; repeat the command to continue"
            ) from error
        if publication.commit and not dry_run:
            hub = {"repo_id": publication.repo_id, "revision": publication.commit}
            if entry.hub != hub:
                entries[name] = replace(entry, hub=hub)
                write_index(entries, index)
        yield publication
