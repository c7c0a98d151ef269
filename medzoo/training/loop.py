"""One epoch: its steps, and the validation after it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from medzoo.datasets import Split
from medzoo.device import Precision, autocast
from medzoo.distributed import average_buffers, process_mean, rank
from medzoo.errors import TrainingError, warn_caller
from medzoo.evaluation import compute_metrics
from medzoo.inference import predict_logits, probabilities
from medzoo.randomness import generator_state, reserve_generator
from medzoo.training.loader import BatchSource
from medzoo.training.loss import Loss, loss_of, soft_targets
from medzoo.training.recipes.recipe import Recipe
from medzoo.training.state import TrainState

_DISTURBED = (
    "another thread draws random numbers from PyTorch's shared generator during this training, so "
    "dropout does not follow from the recipe's seed alone; give that code a torch.Generator of its "
    "own (torch.rand(..., generator=)), or run it before, after, or in another process"
)


class NotFiniteError(FloatingPointError):
    """Training has diverged: the loss, or an output of the model, is infinite or NaN."""


class TrainLoop:
    """The steps of an epoch.

    Args:
        state: What the steps change.
        batches: What the model learns from.
        loss: What is minimised.
        recipe: Seed, precision and clipping of gradients.
        device: Where model and batches are.
    """

    def __init__(
        self,
        state: TrainState,
        batches: BatchSource,
        loss: Loss,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        self.state = state
        self.batches = batches
        self.loss = loss
        self.recipe = recipe
        self.device = device
        self.autocast = autocast(device, recipe.precision)
        self._disturbed = False

    def epoch(self, network: nn.Module, epoch: int, after_step: Callable[[], object]) -> float:
        """Train on the batches of an epoch.

        Args:
            network: The model, or what wraps it to run on several devices or compiled.
            epoch: Which one, from 0.
            after_step: Called after every step.

        Returns:
            The mean loss, over all processes.

        Raises:
            NotFiniteError: If it is infinite or NaN.

        Warns:
            UserWarning: If other code draws from the generator of dropout at the same time.
        """
        network.train()
        self.state.frozen.freeze()
        total = torch.zeros((), device=self.device)
        first, end = map(self.batches.steps_before, (epoch, epoch + 1))
        # Dropout and stochastic depth depend on seed, epoch and process alone, as order and
        # augmentation do. Only the lowest 32 bits of a seed count, so the factor is odd.
        seed = self.recipe.seed * 1_000_003 + epoch + rank() * 0x9E3779B1
        with reserve_generator(seed, self.device):
            for number, (images, targets) in enumerate(self.batches.epoch(epoch), first):
                # Summed on the device and read once per epoch: reading it here would make a GPU
                # wait.
                total += self.step(network, images, targets, number)
                after_step()
        # All else is equal in all processes.
        average_buffers(self.state.model, self.state.average.module)
        loss = process_mean(total).item() / (end - first)
        if not math.isfinite(loss):
            raise NotFiniteError(f"the loss became {loss}")
        return loss

    def step(self, network: nn.Module, images: Tensor, targets: Tensor, number: int) -> Tensor:
        """Update the weights once. Nothing here may wait for the device.

        Args:
            network: As in `epoch`.
            images: Float32 (N, C, H, W), normalised.
            targets: Target probabilities, float32 (N, K).
            number: Steps before this one, in the whole run.

        Returns:
            The loss, without gradient.
        """
        state = self.state
        state.scheduler.step_update(number)
        with self.autocast:
            logits = network(images)
        if not isinstance(logits, Tensor):
            raise TypeError(
                f"the model gives a {type(logits).__name__} in training mode, expected logits as "
                "in evaluation mode; switch its auxiliary outputs off"
            )
        loss = self.loss(logits.float(), targets)
        drawn = generator_state(self.device)
        loss.backward()
        if not self._disturbed and generator_state(self.device) != drawn:
            self._disturbed = True
            warn_caller(_DISTURBED)
        if self.recipe.clip_gradient is not None:
            nn.utils.clip_grad_norm_(state.model.parameters(), self.recipe.clip_gradient)
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.average.update(state.model, step=number)
        return loss.detach()


def validate(
    model: nn.Module, split: Split, device: torch.device, precision: Precision, *, warn: bool = True
) -> dict[str, float]:
    """Score a model on a validation split.

    Every process of an open group computes a part, and all get the same figures.

    Args:
        model: The model, which says how images are prepared for it.
        split: The validation split.
        device: Where to compute.
        precision: Precision of the computation.
        warn: Whether a warning names the classes that cannot be scored.

    Returns:
        ``val_loss`` (the task's loss), ``val_auc`` and ``val_acc``.

    Raises:
        NotFiniteError: If an output is infinite or NaN.
    """
    info = split.info
    logits = predict_logits(model, split.images, device=device, precision=precision, sharded=True)
    if not logits.isfinite().all():
        raise NotFiniteError("the model's outputs became infinite or NaN")
    scores = probabilities(logits, info.task)
    metrics = compute_metrics(split.labels, scores, info.task, info.classes, warn=warn)
    targets = soft_targets(split)
    unknown = bool(targets.isnan().any())
    loss = loss_of(logits.float(), targets, info.multi_label, unknown=unknown)
    return {
        "val_loss": loss.item(),
        "val_auc": metrics.auc,
        "val_acc": metrics.acc,
    }


def diverged(
    error: NotFiniteError, name: str, recipe: Recipe, epoch: int, checkpoint: Path | None
) -> TrainingError:
    """Build the error for a run that has diverged; it says what was kept and what to change.

    Args:
        error: What became infinite or NaN.
        name: Name of the run.
        recipe: How the model was trained.
        epoch: Number of finished epochs.
        checkpoint: The file of the last finished epoch, if the run writes files.
    """
    kept = f"; the checkpoint after epoch {epoch} is kept" if checkpoint and epoch else ""
    return TrainingError(
        f"{error} in epoch {epoch + 1} of {name}{kept}. Lower learning_rate (it was "
        f"{recipe.learning_rate}) or set clip_gradient"
    )
