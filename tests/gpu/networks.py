"""The small network and the short recipe of these tests."""

import torch

import medzoo
from medzoo.training import Recipe

WIDTHS = (8, 16, 32)
QUICK = Recipe(
    epochs=3,
    batch_size=16,
    ema_decay=0.9,
    augmentation=medzoo.Augmentation(
        horizontal_flip=0.5, rotation=20, mixup=0.2, mix_probability=0.5
    ),
)


def small_model(data):
    torch.manual_seed(0)
    return medzoo.create_model("simple_cnn", dataset=data, widths=WIDTHS)
