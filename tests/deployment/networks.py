"""Networks small enough to be exported in a test."""

import torch
from torch import nn

import medzoo

TINY = {
    "advanced_cnn": {"widths": (8, 16), "depths": (1, 1), "strides": (1, 2)},
    "attention_unet": {"widths": (4, 8), "head_width": 16},
    "efficientnet": {
        "widths": (8, 16),
        "depths": (1, 1),
        "strides": (1, 2),
        "expansion": (2, 4),
        "fused_stages": 1,
        "head_width": 32,
    },
    "simple_cnn": {"widths": (8, 16)},
}


def tiny_model(name, dataset="dermamnist", **arguments):
    torch.manual_seed(0)
    model = medzoo.create_model(name, dataset=dataset, **TINY.get(name, {}), **arguments)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # else no batch norm would do anything
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model
