"""``medzoo publish``: put weights on the Hugging Face Hub."""

from __future__ import annotations

import argparse
from typing import Any

import medzoo
from medzoo.cli.command import Commands
from medzoo.files import parse_json, regular_file


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
    where.add_argument(
        "--repo",
        help="organisation/name, for a weights file or one name; the index is not changed",
    )
    where.add_argument(
        "--org",
        help="organisation; repositories are named like the weights, and recorded in the index",
    )
    sub.add_argument("--private", action="store_true", help="create private repositories")
    sub.add_argument("--revision", help="a branch, created if necessary (main)")
    sub.add_argument("--token", help="access token (default: that of `hf auth login`, or HF_TOKEN)")
    sub.add_argument("--licence", help="with --repo: licence (default: that of their data)")
    sub.add_argument(
        "--report",
        help="with --repo: a file with the output of `medzoo evaluate --json`; its scores and "
        "plots go into the model card",
    )
    sub.add_argument("--index", help="with --org: the index to read and write (medzoo's)")
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
    _check_options(arguments)
    if arguments.repo:
        if len(arguments.weights) != 1:
            raise ValueError(
                f"--repo={arguments.repo} takes one name or weights file, not "
                f"{len(arguments.weights)}; give --org for several"
            )
        options |= {
            "licence": arguments.licence,
            "report": _read_report(arguments.report) if arguments.report else None,
        }
        done = [medzoo.push_to_hub(arguments.weights[0], arguments.repo, **options)]
    else:
        index = arguments.index or INDEX
        done = list(publish(arguments.org, arguments.weights, index=index, **options))
    return [publication.to_dict() for publication in done], "\n".join(map(str, done))


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse options that would be ignored."""
    where, other = ("--repo", "--org") if arguments.repo else ("--org", "--repo")
    for name in ("index",) if arguments.repo else ("licence", "report"):
        if value := getattr(arguments, name):
            raise ValueError(
                f"--{name}={value} has no effect with {where}; leave it out, or give {other} "
                f"instead of {where}"
            )


def _read_report(path: str) -> medzoo.Report:
    try:
        return medzoo.Report.from_dict(parse_json(regular_file(path).read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"--report={path} does not contain a report ({error}); write one with "
            "`medzoo evaluate WEIGHTS --json > report.json`"
        ) from error
