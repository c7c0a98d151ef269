"""What medzoo is compared with, written as users of those libraries write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import medmnist
import timm
import torch
from timm.layers import ConvNormAct
from timm.models.efficientnet import EfficientNet, decode_arch_def
from timm.optim import create_optimizer_v2
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms

import medzoo
from benchmarks.timing.machine import CPU
from medzoo.device import autocast, has_fast_bfloat16

BATCH = 128
ROTATION, SCALE, SHIFT, COLOUR = 180.0, 0.2, 0.1, 0.2
AUGMENTATION = medzoo.Augmentation(
    horizontal_flip=0.5,
    vertical_flip=0.5,
    rotation=ROTATION,
    scale=SCALE,
    shift=SHIFT,
    brightness=COLOUR,
    contrast=COLOUR,
    saturation=COLOUR,
)
"""The augmentation of all comparisons; `pil_augmentation` is the same in torchvision."""


def pil_augmentation(colour: bool = True) -> Callable[[Any], Tensor]:
    """Return flips, an affine map and colour by torchvision, applied image by image.

    Args:
        colour: Whether to change brightness, contrast and saturation.
    """
    steps = [
        transforms.RandomHorizontalFlip(),
        transforms.RandomVerticalFlip(),
        transforms.RandomAffine(
            ROTATION,
            translate=(SHIFT, SHIFT),
            scale=(1 - SCALE, 1 + SCALE),
            interpolation=transforms.InterpolationMode.BILINEAR,
        ),
    ]
    if colour:
        steps.append(transforms.ColorJitter(COLOUR, COLOUR, COLOUR))
    return transforms.Compose(
        [*steps, transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
    )


def official_transform() -> Callable[[Any], Tensor]:
    """Return the transform of the official script: a tensor in [-1, 1], no augmentation."""
    return transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])


def dermamnist(
    folder: Path, transform: Callable[[Any], Tensor], split: str = "train", count: int | None = None
) -> Dataset:
    """Return the data set class of medmnist, or its first images.

    Args:
        folder: Folder of the DermaMNIST file.
        transform: Applied to each PIL image.
        split: Name of the split.
        count: Number of images; None for all.
    """
    data = medmnist.DermaMNIST(split=split, transform=transform, root=str(folder), download=False)
    return data if count is None else Subset(data, range(count))


def data_loader(data: Dataset, workers: int, batch_size: int = BATCH) -> DataLoader:
    """Return a shuffling DataLoader that keeps its workers between epochs.

    Args:
        data: The images.
        workers: Number of worker processes.
        batch_size: Images per batch.
    """
    return DataLoader(
        data,
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al., 2016)."""

    def __init__(self, in_chs: int, out_chs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(in_chs, out_chs, 3, stride)
        self.conv2 = ConvNormAct(out_chs, out_chs, 3, apply_act=False)
        same = stride == 1 and in_chs == out_chs
        self.shortcut = (
            nn.Identity() if same else ConvNormAct(in_chs, out_chs, 1, stride, apply_act=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_chs, H, W) to (N, out_chs, H / stride, W / stride)."""
        return torch.relu(self.conv2(self.conv1(x)) + self.shortcut(x))


def official_resnet18(num_classes: int = 7, in_chans: int = 3) -> nn.Module:
    """Return the ResNet-18 of the MedMNIST baselines, with a 3x3 stem of stride 1, no max-pooling.

    It follows the description in MedMNIST v2 (Yang et al., 2023).

    Args:
        num_classes: Outputs.
        in_chans: Channels of the images.
    """
    layers: list[nn.Module] = [ConvNormAct(in_chans, 64, 3)]
    in_chs = 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [BasicBlock(in_chs, width, stride), BasicBlock(width, width, 1)]
        in_chs = width
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_chs, num_classes)
    )


def timm_resnet18(num_classes: int = 7) -> nn.Module:
    """Return the resnet18 of timm with a stem for small images, as its users adapt it.

    Args:
        num_classes: Outputs.
    """
    model = timm.create_model("resnet18", num_classes=num_classes)
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


def timm_mbconv(num_classes: int = 7) -> nn.Module:
    """Return a timm EfficientNet shaped like that of medzoo: SiLU, MBConv in all stages.

    Args:
        num_classes: Outputs.
    """
    stages = ("r1_k3_s1_e2_c48", "r2_k3_s2_e4_c96", "r3_k3_s1_e4_c128", "r5_k3_s1_e4_c192")
    return EfficientNet(
        decode_arch_def([[f"ir_{stage}_se0.25"] for stage in stages]),
        num_classes=num_classes,
        num_features=640,
        stem_size=48,
        act_layer=nn.SiLU,
    )


class PlainLoop:
    """A training loop as in the timm examples: NCHW, a DataLoader, AdamW, label smoothing.

    It computes in the precision that medzoo would choose, so that precision alone makes no
    difference.

    Args:
        model: The model to train.
        loader: Batches of images and labels.
        optimizer: Name of an optimiser of timm.
        device: Where it is trained.
    """

    def __init__(
        self,
        model: nn.Module,
        loader: DataLoader,
        optimizer: str = "adamw",
        device: torch.device = CPU,
    ) -> None:
        self.model = model.to(device).to(memory_format=torch.contiguous_format).train()
        self.loader, self.device = loader, device
        self.optimizer = create_optimizer_v2(model, optimizer, lr=1e-3, weight_decay=0.05)
        self.criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

    def __call__(self) -> None:
        """Train for one epoch."""
        for images, labels in self.loader:
            images = images.to(self.device, non_blocking=True)
            labels = labels.to(self.device, non_blocking=True).squeeze(1).long()
            with autocast(self.device):
                loss = self.criterion(self.model(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def lightning_fit(
    model: nn.Module, loader: DataLoader, device: torch.device, pause: Callable[[], None]
) -> None:
    """Train a model with the Lightning Trainer, for ever, in the precision of `PlainLoop`.

    Args:
        model: The model to train.
        loader: Batches of images and labels.
        device: Where it is trained.
        pause: Called after each epoch.
    """
    import logging
    import warnings

    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model.to(memory_format=torch.contiguous_format)
            self.criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

        def training_step(self, batch: list[Tensor], _: int) -> Tensor:
            images, labels = batch
            return self.criterion(self.model(images), labels.squeeze(1).long())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=0.05)

        def on_train_epoch_end(self) -> None:
            pause()

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lightning.Trainer(
            max_epochs=-1,
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=1,
            precision="bf16-mixed" if has_fast_bfloat16(device) else "32-true",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(Module(), loader)
