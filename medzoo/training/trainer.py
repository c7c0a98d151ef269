"""The Trainer: fits a model to a data set by a recipe, validating every epoch."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from tqdm import tqdm

from medzoo.datasets import Dataset, Split
from medzoo.device import autocast, resolve_device
from medzoo.errors import TrainingError
from medzoo.evaluation import compute_metrics, predict_logits, probabilities
from medzoo.models import Classifier, fit_to_data
from medzoo.training.augment import BatchAugmenter
from medzoo.training.checkpoint import (
    Progress,
    load_checkpoint,
    optimizer_state,
    restore_optimizer,
    save_checkpoint,
)
from medzoo.training.loader import BatchLoader, soft_targets
from medzoo.training.recipe import Recipe, load_recipe
from medzoo.transforms import transform_config
from medzoo.weights import save_weights, write_atomically


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Attributes:
        model: The model with the weights of the best epoch, in evaluation mode.
        recipe: What it was trained by.
        history: A row an epoch: epoch, loss, val_loss, val_auc, val_acc, lr, images_per_second,
            seconds.
        best_epoch: The epoch, from 1, with the best validation AUC, whose weights are kept.
        val_auc: Its validation AUC.
        val_acc: Its validation accuracy.
        weights: The weights file, or None if the run wrote no files.
    """

    model: Classifier = field(repr=False)
    recipe: Recipe = field(repr=False)
    history: list[dict[str, Any]] = field(repr=False)
    best_epoch: int
    val_auc: float
    val_acc: float
    weights: Path | None


class Trainer:
    """Train a classifier on a data set's training split; choose the epoch on its validation split.

    The test split is never read. With `output`, every epoch writes a checkpoint and a line of
    history, and the best weights are written at the end:
    ``<output>/models/<name>.safetensors``, ``<output>/models/<name>.checkpoint.safetensors`` and
    ``<output>/metrics/<name>.jsonl``.

    Args:
        model: A classifier, e.g. from `medzoo.create_model`. It is trained in place.
        data: Its `train` and `val` splits are used.
        recipe: A `Recipe`; or a bundled recipe's name, a JSON file or a mapping of some fields,
            which refine what is bundled for the model and data set. By default that itself.
        output: Folder of the run's files, or None to write none.
        name: Of the run; by default the architecture and the seed.
        device: ``"auto"`` (CUDA, then MPS, then CPU) or any PyTorch device.
        progress: Show a progress bar; by default only on a terminal.
        tensorboard: Also write TensorBoard events into ``<output>/tensorboard/<name>``.

    Raises:
        ValueError: If the model's logits do not fit the data set, or an argument is wrong.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        recipe: Recipe | Mapping[str, Any] | str | Path = "default",
        *,
        output: str | Path | None = None,
        name: str | None = None,
        device: str | torch.device = "auto",
        progress: bool | None = None,
        tensorboard: bool = False,
    ) -> None:
        architecture = str(getattr(model, "architecture", type(model).__name__))
        self.data = data
        self.recipe = load_recipe(recipe, architecture, data.info.name)
        self.device = resolve_device(device)
        self.name = name or f"{architecture.replace('/', '_')}-seed{self.recipe.seed}"
        self.output = Path(output) if output is not None else None
        self.progress = progress
        if tensorboard and (output is None or find_spec("tensorboard") is None):
            raise ValueError(
                "tensorboard=True needs output=, the folder for its files, and the package: "
                "pip install 'medzoo[tensorboard]'"
            )
        self.tensorboard = tensorboard
        # Any classifier will do; from here on it has the attributes of create_model's.
        classifier = cast(Classifier, model)
        self.model = classifier.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._check_logits()
        fit_to_data(classifier, data)

        r, expected = self.recipe, transform_config(data)
        augmenter = BatchAugmenter(r.augmentation, expected.mean, expected.std)
        self.loader = BatchLoader(
            data.train, r.batch_size, augmenter, self.device, r.label_smoothing, r.seed
        )
        self.class_weights = class_weights(data.train) if r.class_weights == "balanced" else None
        steps = r.epochs * len(self.loader)
        self.optimizer = create_optimizer_v2(
            self.model, r.optimizer, lr=r.learning_rate, weight_decay=r.weight_decay
        )
        warmup = min(round(r.warmup * steps), steps - 1)
        self.scheduler = CosineLRScheduler(
            self.optimizer, steps - warmup, warmup_t=warmup, warmup_prefix=True, t_in_epochs=False
        )
        # The warm-up of the decay keeps random initial weights out of the average of short runs.
        self.average = ModelEmaV3(self.model, r.ema_decay, use_warmup=True)
        self.best: dict[str, Tensor] = {}
        self.state = Progress(self._identity())

    def fit(self, resume: bool = False) -> Run:
        """Train to the end of the recipe, or until its patience is used up.

        Args:
            resume: Go on from the run's last checkpoint, if there is one; the result is bit for
                bit that of a run that was never interrupted, on the same machine.

        Returns:
            The finished run; its model has the weights of the best epoch.

        Raises:
            ValueError: If there is no folder to resume from.
            TrainingError: If loss or outputs are no longer finite (the checkpoint of the last good
                epoch is kept), validation AUC is undefined, or a checkpoint is damaged or of
                another run.
        """
        if resume and self.output is None:
            raise ValueError("resume=True needs output=, the folder of the interrupted run")
        if resume and self._file("models", ".checkpoint.safetensors", exists=True):
            self._restore()
        start = self.state.epoch
        total = self.recipe.epochs * len(self.loader)
        with tqdm(
            total=total,
            initial=start * len(self.loader),
            desc=self.name,
            unit="step",
            disable=None if self.progress is None else not self.progress,
            file=sys.stderr,
        ) as bar:
            for epoch in range(start, self.recipe.epochs):
                # Asked before the epoch, so that a run resumed at its end does not go beyond it.
                patience = self.recipe.patience
                if patience and epoch - self.state.best_epoch >= patience:
                    break
                began = time.perf_counter()
                loss = self._train_epoch(epoch, bar)
                seconds = time.perf_counter() - began
                self._finish_epoch(epoch, loss, seconds)
                bar.set_postfix_str(_summary(self.state.history[-1]), refresh=False)
        return self._finish()

    def _train_epoch(self, epoch: int, bar: tqdm) -> float:
        # Dropout and stochastic depth depend on seed and epoch alone, as order and augmentation do.
        torch.manual_seed(self.recipe.seed * 1_000_003 + epoch)
        self.model.train()
        total = torch.zeros((), device=self.device)
        for step, (images, targets) in enumerate(self.loader.epoch(epoch)):
            update = epoch * len(self.loader) + step
            self.scheduler.step_update(update)
            with autocast(self.device, self.recipe.precision):
                logits = self.model(images)
            loss = self._loss(logits.float(), targets)
            loss.backward()
            if self.recipe.clip_gradient is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_gradient)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.average.update(self.model, step=update)
            # Summed on the device and read once an epoch: reading it here would make a GPU wait.
            total += loss.detach()
            bar.update()
        return total.item() / len(self.loader)

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        if self.data.info.multi_label:
            return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)
        return F.cross_entropy(logits, targets, weight=weights)

    def _finish_epoch(self, epoch: int, loss: float, seconds: float) -> None:
        """Validate the averaged weights, remember the best, write history and checkpoint."""
        if not math.isfinite(loss):
            raise self._diverged(f"the loss became {loss}")
        row = {"epoch": epoch + 1, "loss": loss} | self._validate()
        row |= {
            "lr": self.optimizer.param_groups[0]["lr"],
            "images_per_second": len(self.loader) * self.loader.batch_size / seconds,
            "seconds": seconds,
        }
        history = self.state.history
        best = max((r["val_auc"] for r in history), default=-math.inf)
        history.append(row)
        self.state.epoch = epoch + 1
        if row["val_auc"] > best or not self.best:
            self.state.best_epoch = epoch + 1
            self.best = {k: v.clone() for k, v in self.average.module.state_dict().items()}
        self._write_progress()

    def _validate(self) -> dict[str, float]:
        val, network = self.data.val, self.average.module
        logits = predict_logits(
            network, val.images, device=self.device, precision=self.recipe.precision
        )
        if not logits.isfinite().all():
            raise self._diverged("the model's outputs became infinite or NaN")
        loss = F.binary_cross_entropy_with_logits if val.info.multi_label else F.cross_entropy
        metrics = compute_metrics(val.labels, probabilities(logits, val.info.task), val.info.task)
        if math.isnan(metrics.auc):
            raise TrainingError(
                f"the validation split of {self.data.title} has no AUC to choose the epoch by: "
                "all of its images are of one class. Move some of each class into it"
            )
        return {
            "val_loss": loss(logits, soft_targets(val)).item(),
            "val_auc": metrics.auc,
            "val_acc": metrics.acc,
        }

    def _diverged(self, what: str) -> TrainingError:
        epoch = self.state.epoch
        kept = f"; the checkpoint after epoch {epoch} is kept" if self.output and epoch else ""
        return TrainingError(
            f"{what} in epoch {epoch + 1} of {self.name}{kept}. Lower learning_rate (it was "
            f"{self.recipe.learning_rate}) or set clip_gradient"
        )

    def _finish(self) -> Run:
        self.model.load_state_dict(self.best)
        self.model.eval()
        row = self.state.history[self.state.best_epoch - 1]
        weights = self._file("models", ".safetensors")
        if weights and hasattr(self.model, "architecture"):
            save_weights(self.model, weights, training=self.summary())
        return Run(
            self.model,
            self.recipe,
            self.state.history,
            self.state.best_epoch,
            row["val_auc"],
            row["val_acc"],
            weights,
        )

    def summary(self) -> dict[str, Any]:
        """Return how the run went, JSON-safe: recipe, data, best epoch and its figures."""
        best = self.state.history[self.state.best_epoch - 1]
        return {
            "recipe": self.recipe.to_dict(),
            "data": self.data.provenance.to_dict(),
            "best_epoch": self.state.best_epoch,
            "val_auc": best["val_auc"],
            "val_acc": best["val_acc"],
            "seconds": sum(row["seconds"] for row in self.state.history),
        }

    def _write_progress(self) -> None:
        checkpoint = self._file("models", ".checkpoint.safetensors")
        history = self._file("metrics", ".jsonl")
        if not checkpoint or not history:
            return
        lines = "".join(json.dumps(row) + "\n" for row in self.state.history)
        write_atomically(history, lines.encode())
        optimizer, self.state.optimizer = optimizer_state(self.optimizer)
        groups = {
            "model": self.model.state_dict(),
            "average": self.average.module.state_dict(),
            "best": self.best,
            "optimizer": optimizer,
        }
        save_checkpoint(checkpoint, groups, self.state)
        if self.tensorboard:
            self._write_tensorboard()

    def _write_tensorboard(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        row = self.state.history[-1]
        with SummaryWriter(str(cast(Path, self.output) / "tensorboard" / self.name)) as writer:
            for key, value in row.items():
                writer.add_scalar(key, value, row["epoch"])

    def _identity(self) -> dict[str, Any]:
        """Return what an interrupted run must share with this one."""
        return {
            "architecture": getattr(self.model, "architecture", type(self.model).__name__),
            "recipe": self.recipe.to_dict(),
            # Arrays have no md5; their mean tells them apart.
            "data": {
                "name": self.data.info.name,
                "md5": self.data.provenance.md5,
                "mean": self.data.mean_std()[0],
            },
        }

    def _restore(self) -> None:
        path = cast(Path, self._file("models", ".checkpoint.safetensors"))
        groups, state = load_checkpoint(path)
        identity = json.loads(json.dumps(self._identity()))
        other = [key for key, value in identity.items() if state.identity.get(key) != value]
        if other:
            raise TrainingError(
                f"checkpoint {path} belongs to another run (other {', '.join(other)}); resume with "
                "the same, or delete the checkpoint to start anew"
            )
        self.model.load_state_dict(groups["model"])
        self.average.module.load_state_dict(groups["average"])
        self.best = groups["best"]
        restore_optimizer(self.optimizer, {**groups["optimizer"], **state.optimizer})
        self.state = state

    def _check_logits(self) -> None:
        """Run one image through the model, so that a wrong head is an error now and not later."""
        info = self.data.info
        images = torch.zeros(1, info.channels, self.data.size, self.data.size, device=self.device)
        advice = "make it with medzoo.create_model(..., dataset=data)"
        try:
            with torch.inference_mode():
                logits = self.model.eval()(images)
        except RuntimeError as error:
            raise ValueError(
                f"the model cannot take an image of {self.data.title}, {tuple(images.shape[1:])} "
                f"({error}); {advice}"
            ) from error
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        if found != (1, info.num_classes):
            raise ValueError(
                f"the model maps an image of {self.data.title} to {found}, expected logits of "
                f"shape (1, {info.num_classes}); {advice}"
            )

    def _file(self, folder: str, suffix: str, exists: bool = False) -> Path | None:
        if self.output is None:
            return None
        path = self.output / folder / f"{self.name}{suffix}"
        return path if path.exists() or not exists else None


def class_weights(split: Split) -> Tensor:
    """Weights that make every class count alike, float32 (K,).

    Args:
        split: Training labels.

    Returns:
        For single-label sets, inverse frequencies with mean 1 over the images; for multi-label
        sets, negatives over positives of each label.
    """
    counts = soft_targets(split).sum(0).clamp(min=1)
    if split.info.multi_label:
        return (len(split) - counts) / counts
    return len(split) / (len(counts) * counts)


def _summary(row: dict[str, Any]) -> str:
    return (
        f"loss {row['loss']:.3f}, val AUC {row['val_auc']:.4f}, val ACC {row['val_acc']:.4f}, "
        f"{row['images_per_second']:.0f} images/s"
    )
