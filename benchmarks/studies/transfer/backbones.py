"""Backbones of the studies: published weights, files that are trained or written here."""

from __future__ import annotations

from benchmarks.release.backbone import path_of
from benchmarks.studies.transfer import imagenet
from medzoo.datasets.info import split_tag
from medzoo.files import sha256_of
from medzoo.weights import weights_index

OTHERS = "advanced_cnn, the three other sets"
"""The backbone of benchmarks/release/backbone.py that has not seen the data set."""

IMAGENET = f"{imagenet.NETWORK}, ImageNet"
"""The backbone of imagenet.py."""


def is_available(backbone: str, dataset: str) -> bool:
    """Return whether a backbone is on this machine.

    Args:
        backbone: Name of published weights, `OTHERS` or `IMAGENET`.
        dataset: Tag of the data set on which it will be trained.
    """
    if backbone == OTHERS:
        return path_of(without=dataset).exists()
    if backbone == IMAGENET:
        return imagenet.is_installed()
    return backbone in weights_index()


def weights_of(backbone: str, dataset: str) -> str:
    """Return what `medzoo.finetune` starts from: a name or a file.

    Args:
        backbone: Name of published weights, `OTHERS` or `IMAGENET`.
        dataset: Tag of the data set on which it will be trained.
    """
    if backbone == OTHERS:
        return str(path_of(without=dataset))
    if backbone == IMAGENET:
        return str(imagenet.backbone(split_tag(dataset)[1]))
    return backbone


def sha256_of_backbone(backbone: str, dataset: str) -> str:
    """Return the sha256 of a backbone's weights.

    Args:
        backbone: Name of published weights, `OTHERS` or `IMAGENET`.
        dataset: Tag of the data set on which it will be trained.
    """
    if backbone in (OTHERS, IMAGENET):
        return sha256_of(weights_of(backbone, dataset))
    return weights_index()[backbone].sha256
