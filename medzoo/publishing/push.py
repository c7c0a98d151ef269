"""`push_to_hub`: weights, configuration and model card into a repository on the Hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from io import BytesIO
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from medzoo.errors import WeightsError
from medzoo.evaluation import Report, plot_report
from medzoo.publishing.release import Publishable, Release
from medzoo.publishing.timm_config import timm_config
from medzoo.timeout import run_with_timeout
from medzoo.weights.download import WEIGHTS_FILE, check_commit, check_repository, git_name
from medzoo.weights.hub import reason, time_limit

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

State = Literal["new", "changed", "unchanged"]


@dataclass(frozen=True)
class PublishedFile:
    """One file of a repository.

    Attributes:
        path: Path in the repository.
        bytes: Its size.
        sha256: Of its content.
        state: Compared with the repository: only new and changed files are uploaded.
    """

    path: str
    bytes: int
    sha256: str
    state: State


@dataclass(frozen=True)
class Publication:
    """What `push_to_hub` did, or would do.

    Attributes:
        repo_id: The repository.
        commit: The commit that contains the files; None after a dry run that found changes.
        files: Every file of the publication.
        dry_run: Whether nothing was uploaded.
    """

    repo_id: str
    commit: str | None
    files: tuple[PublishedFile, ...]
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        return asdict(self) | {"files": [asdict(file) for file in self.files]}

    def __str__(self) -> str:
        """Describe what happens to each file, one per line."""
        is_done = all(file.state == "unchanged" for file in self.files)
        if is_done:
            heading = f"{self.repo_id}: up to date at {self.commit}"
        elif self.dry_run:
            heading = f"{self.repo_id}: would be published"
        else:
            heading = f"{self.repo_id}: published as {self.commit}"
        width = max(len(file.path) for file in self.files)
        return "\n".join(
            [heading]
            + [
                f"  {file.state:<9}  {file.path:<{width}}  {file.bytes:>12,} bytes  {file.sha256}"
                for file in self.files
            ]
        )


def push_to_hub(
    model: Publishable,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
    report: Report | None = None,
    licence: str | None = None,
    dry_run: bool = False,
) -> Publication:
    """Publish weights on the Hugging Face Hub, with timm's ``config.json`` and a model card.

    The repository is created if necessary. Unchanged files are not uploaded again, and if nothing
    changed there is no new commit, so the call can be repeated until it succeeds. It takes at most
    ``MEDZOO_HUB_TIMEOUT`` seconds (300); an upload that takes longer may still be completed in the
    background.

    Args:
        model: A model, a weights file (which records how it was trained), or the name of
            published weights (``"advanced_cnn.dermamnist"``).
        repo_id: ``"organisation/name"``.
        private: Create the repository as a private one. An existing one is not changed.
        revision: A branch, created if necessary; by default the main one.
        token: An access token that may write; by default that of ``hf auth login`` or ``HF_TOKEN``.
        report: What `medzoo.evaluate` returned; its scores and plots go into the model card. For
            weights of the index, the scores in the index are used by default.
        licence: Licence of the weights, e.g. ``"CC BY 4.0"``; by default that of the training data.
        dry_run: Only report what would be uploaded.

    Returns:
        The files and the commit.

    Raises:
        TypeError: If an argument has the wrong type, or the model does not say what it is.
        ValueError: If the model was not made by `create_model`, a name is unknown or malformed,
            the report is for another task, the repository is public and `private` was given, or
            ``MEDZOO_HUB_TIMEOUT`` is not a number of seconds.
        WeightsError: If the weights do not load, the Hub rejects them, gives an answer that is not
            a Hub's, or takes too long.
        ImportError: If there is a report to plot and matplotlib is not installed.
    """
    from huggingface_hub import HfApi

    check_repository(repo_id, "main" if revision is None else revision)
    seconds = time_limit()
    contents = repository_files(Release.of(model, report, licence), repo_id)
    api = HfApi(token=token, library_name="medzoo")
    try:
        return run_with_timeout(
            seconds, lambda: _push(api, contents, repo_id, private, revision, dry_run)
        )
    except _PrivacyError:
        raise
    except Exception as error:  # several HTTP libraries' errors, depending on huggingface_hub
        raise WeightsError(f"{repo_id} could not be published: {reason(error)}") from error


class _PrivacyError(ValueError):
    """A public repository that was to be private."""


def repository_files(release: Release, repo_id: str) -> dict[str, bytes]:
    """Return the content of every file of a repository, by path.

    Args:
        release: What is published.
        repo_id: Where.

    Raises:
        ImportError: If there is something to plot and matplotlib is not installed.
    """
    from medzoo.publishing.card import model_card

    config = timm_config(release.spec)
    plots = _plots(release.report) if release.report else {}
    in_timm = "/" not in config["architecture"]
    card = model_card(release, repo_id, in_timm=in_timm, plots=tuple(plots))
    return {
        WEIGHTS_FILE: release.content,
        "config.json": (json.dumps(config, indent=2) + "\n").encode(),
        "README.md": str(card).encode(),
        **plots,
    }


def _push(
    api: HfApi,
    contents: Mapping[str, bytes],
    repo_id: str,
    private: bool,
    revision: str | None,
    dry_run: bool,
) -> Publication:
    from huggingface_hub import CommitOperationAdd

    repository = _info(api, repo_id)
    branch = _info(api, repo_id, revision) if repository and revision else repository
    if repository and private and repository.private is not True:
        raise _PrivacyError(
            f"private=True, but {repo_id} exists and is public; make it private on its page, or "
            "publish under another name"
        )
    start = branch or repository  # a new branch starts at the main one
    files = tuple(_compare(path, content, start) for path, content in contents.items())
    changed = [file.path for file in files if file.state != "unchanged"]
    commit = check_commit(start.sha) if start and not changed else None
    if not dry_run:
        if repository is None:
            api.create_repo(repo_id, private=private, exist_ok=True)
        if revision and branch is None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        if changed:
            made = api.create_commit(
                repo_id,
                [CommitOperationAdd(path, contents[path]) for path in changed],
                commit_message=f"Publish {repo_id.partition('/')[2]}",
                revision=revision,
                parent_commit=check_commit(start.sha) if start else None,
            )
            commit = check_commit(made.oid)
    return Publication(repo_id, commit, files, dry_run)


def _info(api: HfApi, repo_id: str, revision: str | None = None) -> ModelInfo | None:
    from huggingface_hub import constants
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    seconds = constants.HF_HUB_ETAG_TIMEOUT
    try:
        return api.model_info(repo_id, revision=revision, files_metadata=True, timeout=seconds)
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return None


def _compare(path: str, content: bytes, info: ModelInfo | None) -> PublishedFile:
    digest = sha256(content).hexdigest()
    there = {sibling.rfilename: sibling for sibling in (info.siblings or [])} if info else {}
    state: State = "new"
    if path in there:
        lfs = there[path].lfs
        if lfs:
            is_same = lfs.sha256 == digest
        else:
            is_same = there[path].blob_id == git_name(BytesIO(content), len(content))
        state = "unchanged" if is_same else "changed"
    return PublishedFile(path, len(content), digest, state)


def _plots(report: Report) -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        return {f"plots/{path.name}": path.read_bytes() for path in plot_report(report, folder)}
