"""``medzoo publish``: put weights on the Hugging Face Hub."""

from __future__ import annotations

import argparse
from typing import Any

import medzoo
from medzoo.cli.command import Commands


def add(commands: Commands) -> None:
    """Add ``publish``.

    Args:
        commands: The commands of the command line.
    """
    sub = commands.add(
        "publish",
        _publish,
        "put weights on the Hugging Face Hub",
        "medzoo publish model.safetensors --repo my-name/my-model --dry-run",
    )
    sub.add_argument(
        "weights", nargs="*", help="names in the index, or one weights file; default: all names"
    )
    where = sub.add_mutually_exclusive_group(required=True)
    where.add_argument("--repo", help="organisation/name, for a weights file or one name")
    where.add_argument("--org", help="organisation; repositories get the weights' names")
    sub.add_argument("--private", action="store_true", help="make private repositories")
    sub.add_argument("--revision", help="a branch, made if need be (main)")
    sub.add_argument("--token", help="access token (default: that of `hf auth login`, or HF_TOKEN)")
    sub.add_argument("--licence", help="of a weights file (default: that of its data)")
    sub.add_argument("--index", help="the index to read and, with --org, to write (medzoo's own)")
    sub.add_argument("--dry-run", action="store_true", help="only print what would be uploaded")


def _publish(arguments: argparse.Namespace) -> tuple[Any, str]:
    from medzoo.publishing import publish
    from medzoo.weights import INDEX

    options = {
        "private": arguments.private,
        "revision": arguments.revision,
        "token": arguments.token,
        "dry_run": arguments.dry_run,
    }
    if arguments.repo:
        if len(arguments.weights) != 1:
            raise ValueError(
                f"--repo={arguments.repo} takes one name or weights file, not "
                f"{len(arguments.weights)}; give --org for several"
            )
        weights = arguments.weights[0]
        done = [medzoo.push_to_hub(weights, arguments.repo, licence=arguments.licence, **options)]
    else:
        index = arguments.index or INDEX
        done = list(publish(arguments.org, arguments.weights, index=index, **options))
    return [publication.to_dict() for publication in done], "\n".join(map(str, done))
