"""Dividing images among splits at random: every class in proportion, no group in two splits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from medzoo.datasets.info import SplitName


def stratified_group_split(
    labels: np.ndarray,
    groups: Sequence[Hashable],
    shares: Mapping[SplitName, float],
    seed: int,
) -> list[SplitName]:
    """Choose a split for each image.

    Whole groups are dealt out one after the other, those that weigh most first: large ones, and
    those of rare classes. Each goes to the split that lacks most of what it holds, relative to
    what that split is to get in the end. So the rarest class reaches every split if it can.

    Args:
        labels: Class indices (N,), or zeros and ones (N, L).
        groups: What each image belongs to; images of one group stay together.
        shares: The share of the images that each split gets; they add up to 1.
        seed: Of the order among groups that weigh the same.

    Returns:
        The split of each image; the same arguments give the same splits.
    """
    columns = labels if labels.ndim == 2 else np.eye(labels.max() + 1)[labels]
    # One column more, for all images: those without a label are to be divided as well.
    columns = np.column_stack([columns[:, columns.any(axis=0)], np.ones(len(labels))])
    numbers: dict[Hashable, int] = {}
    group_of = np.array([numbers.setdefault(group, len(numbers)) for group in groups])
    held = np.zeros((len(numbers), columns.shape[1]))
    np.add.at(held, group_of, columns)
    weights = held / held.sum(axis=0)
    wanted = np.outer(list(shares.values()), held.sum(axis=0))
    given = np.zeros_like(wanted)
    chosen = np.zeros(len(held), dtype=int)
    order = np.random.default_rng(seed).permutation(len(held))
    for group in order[np.argsort(-weights.sum(axis=1)[order], kind="stable")]:
        lacking = (1 - given / wanted) @ weights[group]
        chosen[group] = split = lacking.argmax()
        given[split] += held[group]
    names = list(shares)
    return [names[split] for split in chosen[group_of]]
