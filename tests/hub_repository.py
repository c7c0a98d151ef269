"""What the local Hub keeps: files, commits, and what it demands of a model card."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results

LICENCES = {"apache-2.0", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-4.0", "cc0-1.0"}
LICENCES |= {"mit", "other", "unknown"}
PIPELINES = {"image-classification", "image-feature-extraction", "image-segmentation"}
GIT_ATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


def git_blob(content: bytes) -> str:
    """Return the name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass(frozen=True)
class File:
    """A file of a repository; `lfs` is its sha256 if its content lies in the large file storage."""

    content: bytes
    lfs: str | None = None

    @property
    def pointer(self) -> bytes:
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.lfs}\n"
        return f"{text}size {len(self.content)}\n".encode()

    @property
    def blob(self) -> str:
        return git_blob(self.pointer if self.lfs else self.content)

    @property
    def etag(self) -> str:
        return self.lfs or self.blob


@dataclass
class Repository:
    """The commits of a repository, oldest first, and what its branches and tags point to."""

    private: bool = False
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, File], branch: str = "main") -> str:
        listing = sorted((path, file.etag) for path, file in files.items())
        oid = hashlib.sha1(f"{len(self.commits)} {branch} {listing}".encode()).hexdigest()
        self.commits[oid] = files
        self.refs[branch] = oid
        return oid

    def find(self, revision: str) -> str | None:
        oid = self.refs.get(revision, revision)
        return oid if oid in self.commits else None


def is_large(path: str, sample: bytes) -> bool:
    """Whether the Hub keeps a file in its large file storage: weights, and all that is not text."""
    return path.endswith(".safetensors") or b"\0" in sample


def card_errors(text: str) -> Iterator[str]:
    """Say what the Hub would say against a model card's metadata."""
    found = re.match(r"---\r?\n(.*?)\r?\n---\r?\n", text, re.DOTALL)
    if not found:
        yield "the card has no metadata"
        return
    try:
        card = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        yield f"the metadata is not YAML: {error}"
        return
    if card.get("license", "unknown") not in LICENCES:
        yield f'"license" must be one of {sorted(LICENCES)}'
    if card.get("pipeline_tag", "image-classification") not in PIPELINES:
        yield f'"pipeline_tag" must be one of {sorted(PIPELINES)}'
    for name in ("tags", "datasets"):
        values = card.get(name, [])
        if not isinstance(values, list) or not all(isinstance(v, str) and v for v in values):
            yield f'"{name}" must be a list of names'
    for name in card.get("datasets", []):
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
            yield f'"datasets" names {name!r}, which cannot be a data set of the Hub'
    if "model-index" not in card:
        return
    try:
        _, results = model_index_to_eval_results(card["model-index"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        yield f'"model-index" is malformed: {error!r}'
        return
    for result in results:
        if not isinstance(result.metric_value, int | float):
            yield f'"model-index": {result.metric_type} is not a number: {result.metric_value!r}'
