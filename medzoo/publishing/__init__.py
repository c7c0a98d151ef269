"""Publishing on the Hugging Face Hub: model card, timm's configuration, upload."""

from medzoo.publishing.publish_all import publish
from medzoo.publishing.push import Publication, PublishedFile, push_to_hub, repository_files
from medzoo.publishing.release import Publishable, Release
from medzoo.publishing.timm_config import timm_config

__all__ = [
    "Publication",
    "Publishable",
    "PublishedFile",
    "Release",
    "publish",
    "push_to_hub",
    "repository_files",
    "timm_config",
]
