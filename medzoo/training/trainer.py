"""The Trainer: fits a model to a data set by a recipe, on one device or on many."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from timm.scheduler import CosineLRScheduler
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from tqdm import tqdm

from medzoo.datasets import Dataset
from medzoo.datasets.validation import check_dataset
from medzoo.device import autocast
from medzoo.distributed import (
    all_ranks_equal,
    average_buffers,
    data_parallel,
    device_of_process,
    process_group,
    process_mean,
    rank,
    wait_for_all,
    world_size,
)
from medzoo.errors import TrainingError
from medzoo.evaluation import compute_metrics
from medzoo.inference import InputAdapter, predict_logits, probabilities
from medzoo.inference.model import Model
from medzoo.models import Classifier, bind_to_dataset
from medzoo.spec import find_spec
from medzoo.training.augment import BatchAugmenter
from medzoo.training.checkpoint import Progress, optimizer_state, restore_optimizer
from medzoo.training.checks import (
    check_compiler,
    check_high_res,
    check_logits,
    check_output,
    check_validation,
)
from medzoo.training.distillation import Teacher
from medzoo.training.fingerprint import run_fingerprint
from medzoo.training.freeze import Frozen
from medzoo.training.lineage import lineage
from medzoo.training.loader import BatchLoader
from medzoo.training.loss import class_weights, loss_of, soft_targets
from medzoo.training.optimizer import create_optimizer
from medzoo.training.recipe import Recipe, load_recipe
from medzoo.training.run_files import RunFiles
from medzoo.transforms import input_spec


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Attributes:
        model: The model with the weights of the best epoch, in evaluation mode.
        recipe: What it was trained by.
        history: A row an epoch: epoch, loss, lr, images_per_second, seconds; and val_loss,
            val_auc, val_acc where it was validated.
        best_epoch: The epoch, from 1, with the best validation AUC, whose weights are kept.
        val_auc: Its validation AUC.
        val_acc: Its validation accuracy.
        weights: The weights file, or None if the run wrote none.
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

    In a process that torchrun started, it trains together with the others: each takes its part of
    every batch, gradients are averaged, and process 0 writes the files. All of them have to make
    the same Trainer.

    Args:
        model: A classifier, e.g. from `medzoo.create_model`. It is trained in place.
        data: Its `train` and `val` splits are used.
        recipe: A `Recipe`; or a bundled recipe's name, a JSON file or a mapping of some fields,
            which refine what is bundled for the model and data set. By default that itself.
        output: Folder of the run's files, or None to write none.
        name: Of the run; by default the architecture and the seed.
        teacher: Whose probabilities for each augmented batch are blended into its targets, by
            the share `Recipe.distillation`. Any callable that `medzoo.evaluate` takes, e.g. a
            `medzoo.Ensemble`.
        high_res: The same training images in a larger size (``medzoo.load_dataset(name, size=64)``).
            Random changes are then made to these; the teacher sees them, and the model gets them
            scaled down, so that images stay as sharp when they are turned as they are upright.
        device: ``"auto"`` (CUDA, then MPS, then CPU) or any PyTorch device.
        progress: Show a progress bar; by default only on a terminal.
        tensorboard: Also write TensorBoard events into ``<output>/tensorboard/<name>``.
        compile: Compile the network with `torch.compile`: the first step takes minutes, later
            ones less time. Weights and files are the same as without.

    Raises:
        ValueError: If the model's logits do not fit the data set, its weights could not be written
            to `output`, the validation split has but one class, the batches cannot be divided among
            the processes, `torch.compile` does not work here, the recipe distils but there is no
            teacher (or the other way round), the teacher says that it is for other classes, the
            larger images are smaller or others (by their classes, labels, and the looks of a few),
            the model has not the layers that the recipe freezes, or an argument is wrong.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        recipe: Recipe | Mapping[str, Any] | str | Path = "default",
        *,
        output: str | Path | None = None,
        name: str | None = None,
        teacher: Model | None = None,
        high_res: Dataset | None = None,
        device: str | torch.device = "auto",
        progress: bool | None = None,
        tensorboard: bool = False,
        compile: bool = False,
    ) -> None:
        check_dataset("data", data)
        known = find_spec(model)
        architecture = (known and known.architecture) or type(model).__name__
        self.data = data
        self.recipe = load_recipe(recipe, architecture, data.info)
        self.device = device_of_process(device)
        self.rank = rank()
        self.name = name or f"{architecture.replace('/', '_')}-seed{self.recipe.seed}"
        self.files = RunFiles(output, self.name, tensorboard=tensorboard, writes=self.rank == 0)
        self.progress = progress
        self.compile = compile
        if compile:
            check_compiler(self.device)
        # Any classifier will do; from here on it has the attributes of create_model's.
        classifier = cast(Classifier, model)
        self.model = classifier.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        check_logits(self.model, data, self.device)
        check_validation(data.val)

        r = self.recipe
        if high_res is not None:
            check_dataset("high_res", high_res)
            check_high_res(high_res, data)
        self.high_res = high_res
        self.loader, self.to_size = self._make_loader()
        classifier = bind_to_dataset(model, data)
        if output is not None:
            check_output(classifier)
        self.teacher = self._make_teacher(teacher, high_res or data)
        balanced = r.class_weights == "balanced"
        self.class_weights = class_weights(data.train).to(self.device) if balanced else None
        self.autocast = autocast(self.device, r.precision)
        steps = r.epochs * len(self.loader)
        self.frozen = Frozen(self.model, r.freeze)
        self.optimizer = create_optimizer(
            self.model,
            r.optimizer,
            learning_rate=r.learning_rate,
            weight_decay=r.weight_decay,
            layer_decay=r.layer_decay,
            device=self.device,
        )
        warmup = min(round(r.warmup * steps), steps - 1)
        self.scheduler = CosineLRScheduler(
            self.optimizer, steps - warmup, warmup_t=warmup, warmup_prefix=True, t_in_epochs=False
        )
        # The warm-up of the decay keeps random initial weights out of the average of short runs.
        self.average = ModelEmaV3(self.model, r.ema_decay, use_warmup=True)
        self.best: dict[str, Tensor] = {}
        self.state = Progress(run_fingerprint(self.model, r, data, high_res, self.teacher))

    def _make_loader(self) -> tuple[BatchLoader, nn.Module]:
        """Return the batches, and what brings them to the model's size."""
        r, data = self.recipe, self.high_res or self.data
        shared, own = input_spec(data), input_spec(self.data)
        loader = BatchLoader(
            data.train,
            r.batch_size,
            BatchAugmenter(r.augmentation, shared.mean, shared.std, self.device),
            self.device,
            soft_targets(data.train, r.label_smoothing),
            r.seed,
            rank=self.rank,
            processes=world_size(),
        )
        if self.high_res is None:
            return loader, nn.Identity()
        return loader, InputAdapter(nn.Identity(), own, shared).to(self.device)

    def _make_teacher(self, model: Model | None, data: Dataset) -> Teacher | None:
        share = self.recipe.distillation
        if (model is not None) != (share > 0):
            raise ValueError(
                f"the recipe's distillation={share!r} "
                + ("needs a teacher: give teacher=" if share else "would not use the teacher")
                + "; a share above 0 and a teacher go together"
            )
        if model is None:
            return None
        return Teacher(model, data, share, self.device, self.recipe.precision)

    def fit(self, resume: bool = False) -> Run:
        """Train to the end of the recipe, or until its patience is used up.

        Args:
            resume: Go on from the run's last checkpoint, if there is one; the result is bit for
                bit that of a run that was never interrupted, on the same machine with as many
                processes.

        Returns:
            The finished run; its model has the weights of the best epoch. Every process gets it.

        Raises:
            ValueError: If there is no folder to resume from.
            TrainingError: If loss or outputs are no longer finite (the checkpoint of the last good
                epoch is kept), or a checkpoint is damaged or of
                another run.
        """
        if resume and self.files.folder is None:
            raise ValueError("resume=True needs output=, the folder of the interrupted run")
        with process_group(self.device):
            if resume:
                self._restore()
            self._train()
            return self._finish()

    def _train(self) -> None:
        network = data_parallel(self.model, self.device)
        if self.compile:
            network = cast(nn.Module, torch.compile(network))
        start, steps = self.state.epoch, len(self.loader)
        shown = self.progress if self.rank == 0 else False
        with tqdm(
            total=self.recipe.epochs * steps,
            initial=start * steps,
            desc=self.name,
            unit="step",
            disable=None if shown is None else not shown,
            file=sys.stderr,
        ) as bar:
            for epoch in range(start, self.recipe.epochs):
                # Asked before the epoch, so that a run resumed at its end does not go beyond it.
                if self.recipe.patience and self.state.stale() >= self.recipe.patience:
                    break
                began = time.perf_counter()
                loss = self._train_epoch(network, epoch, bar)
                seconds = time.perf_counter() - began
                self._finish_epoch(loss, seconds)
                best = self.state.best
                score = f", best val AUC {best['val_auc']:.4f}" if best else ""
                bar.set_postfix_str(f"loss {loss:.3f}{score}", refresh=False)

    def _train_epoch(self, network: nn.Module, epoch: int, bar: tqdm) -> float:
        # Dropout and stochastic depth depend on seed, epoch and process alone, as order and
        # augmentation do.
        # Only the lowest 32 bits of a seed count, hence the odd factor.
        torch.manual_seed(self.recipe.seed * 1_000_003 + epoch + self.rank * 0x9E3779B1)
        network.train()
        self.frozen.freeze()
        total = torch.zeros((), device=self.device)
        first = epoch * len(self.loader)
        for step, (images, targets) in enumerate(self.loader.epoch(epoch), first):
            if self.teacher:
                targets = self.teacher.blend(images, targets)
            images = self.to_size(images)
            # Summed on the device and read once an epoch: reading it here would make a GPU wait.
            total += self._step(network, images, targets, step)
            bar.update()
        average_buffers(self.model, self.average.module)  # all else is equal in all processes
        return process_mean(total).item() / len(self.loader)

    def _step(self, network: nn.Module, images: Tensor, targets: Tensor, step: int) -> Tensor:
        """Update the weights once; return the loss. Nothing here may wait for the device."""
        self.scheduler.step_update(step)
        with self.autocast:
            logits = network(images)
        loss = self._loss(logits.float(), targets)
        loss.backward()
        if self.recipe.clip_gradient is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_gradient)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.model, step=step)
        return loss.detach()

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return loss_of(logits, targets, self.data.info.multi_label, self.class_weights)

    def _finish_epoch(self, loss: float, seconds: float) -> None:
        """Validate the averaged weights if it is time, remember the best, write the files."""
        if not math.isfinite(loss):
            raise self._diverged(f"the loss became {loss}")
        state, epoch = self.state, self.state.epoch + 1
        row: dict[str, Any] = {"epoch": epoch, "loss": loss}
        if epoch % self.recipe.validate_every == 0 or epoch == self.recipe.epochs:
            row |= self._validate()
            if state.best is None or row["val_auc"] > state.best["val_auc"]:
                state.best_epoch = epoch
                self.best = {k: v.clone() for k, v in self.average.module.state_dict().items()}
        row |= {
            "lr": max(group["lr"] for group in self.optimizer.param_groups),
            "images_per_second": len(self.loader) * self.loader.batch_size / seconds,
            "seconds": seconds,
        }
        state.history.append(row)
        state.epoch = epoch
        self._write()

    def _validate(self) -> dict[str, float]:
        """Score the averaged weights; every process computes a part, and all get the same."""
        val, info = self.data.val, self.data.info
        logits = predict_logits(
            self.average.module,
            val.images,
            device=self.device,
            precision=self.recipe.precision,
            sharded=True,
        )
        if not logits.isfinite().all():
            raise self._diverged("the model's outputs became infinite or NaN")
        scores = probabilities(logits, info.task)
        metrics = compute_metrics(val.labels, scores, info.task, info.classes)
        return {
            "val_loss": loss_of(logits, soft_targets(val), info.multi_label).item(),
            "val_auc": metrics.auc,
            "val_acc": metrics.acc,
        }

    def _diverged(self, what: str) -> TrainingError:
        epoch = self.state.epoch
        kept = (
            f"; the checkpoint after epoch {epoch} is kept" if self.files.folder and epoch else ""
        )
        return TrainingError(
            f"{what} in epoch {epoch + 1} of {self.name}{kept}. Lower learning_rate (it was "
            f"{self.recipe.learning_rate}) or set clip_gradient"
        )

    def _write(self) -> None:
        model, average = self.model.state_dict(), self.average.module.state_dict()
        optimizer, self.state.optimizer = optimizer_state(self.optimizer)
        groups = {"model": model, "average": average, "best": self.best, "optimizer": optimizer}
        self.files.write(groups, self.state)

    def _restore(self) -> None:
        found = self.files.read(self.state.identity)
        if not all_ranks_equal(found[1].epoch if found else 0):
            raise TrainingError(
                f"the processes do not all see the same {self.files.checkpoint}; output= must be "
                "a folder that all machines share"
            )
        if found is None:
            return
        groups, self.state = found
        self.model.load_state_dict(groups["model"])
        self.average.module.load_state_dict(groups["average"])
        self.best = groups.get("best", {})  # empty before the first validation
        restore_optimizer(self.optimizer, {**groups["optimizer"], **self.state.optimizer})

    def _finish(self) -> Run:
        self.model.load_state_dict(self.best)
        self.model.eval()
        self.frozen.unfreeze()
        summary = self.summary()
        self.model.licence = summary["licence"]
        weights = self.files.write_weights(self.model, summary)
        wait_for_all()  # no process may look for files that are still being written
        figures = {key: summary[key] for key in ("best_epoch", "val_auc", "val_acc")}
        return Run(self.model, self.recipe, self.state.history, weights=weights, **figures)

    def summary(self) -> dict[str, Any]:
        """Return how the run went, JSON-safe: recipe, origin, best epoch and its figures."""
        best = self.state.history[self.state.best_epoch - 1]
        return {
            "recipe": self.recipe.to_dict(),
            **lineage(self.model, self.data, self.teacher, self.high_res),
            "best_epoch": self.state.best_epoch,
            "val_auc": best["val_auc"],
            "val_acc": best["val_acc"],
            "seconds": sum(row["seconds"] for row in self.state.history),
        }
