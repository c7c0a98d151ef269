"""Split images at random: each class in proportion, no group in two splits."""

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

    Whole groups are assigned greedily, those with the largest weight first: large groups, and
    groups of rare classes. Each group goes to the split that lacks most of the group's classes,
    relative to the number of images that the split should have in the end. So the rarest class
    is in every split if possible.

    Args:
        labels: Class indices (N,), or zeros and ones (N, L); unknown labels count as 0.
        groups: Group of each image; the images of a group stay together.
        shares: Share of the images that each split receives; the shares add up to 1.
        seed: Random seed of the order among groups with the same weight.

    Returns:
        The split of each image; the same arguments give the same splits.
    """
    columns = labels == 1 if labels.ndim == 2 else np.eye(labels.max() + 1)[labels]
    # One more column for all images, so that images without a label are split in proportion, too.
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
