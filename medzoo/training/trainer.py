"""The Trainer: fits a model to a data set by a recipe, on one device or on many."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import torch
from torch import nn

from medzoo.datasets import Dataset
from medzoo.datasets.validation import check_dataset
from medzoo.distributed import (
    broadcast,
    data_parallel,
    device_of_process,
    process_group,
    rank,
)
from medzoo.errors import TrainingError, warn_caller
from medzoo.evaluation import calibrate
from medzoo.inference import fit_ood_detector
from medzoo.inference.conformal import calibration_images, images_needed
from medzoo.inference.model import Model
from medzoo.models import bind_to_dataset
from medzoo.spec.conformal import COVERAGE
from medzoo.training.callbacks import Callback, EarlyStopping, RunState, TensorBoard
from medzoo.training.checks import check_callbacks, check_options, check_run, try_compiler
from medzoo.training.loader import BatchSource
from medzoo.training.loop import NotFiniteError, TrainLoop, diverged, validate
from medzoo.training.loss import Loss, task_loss
from medzoo.training.plan import describe_plan, estimate_epoch
from medzoo.training.progress import ProgressDisplay, interrupted
from medzoo.training.recipes.bundled import load_recipe
from medzoo.training.recipes.recipe import Recipe
from medzoo.training.records.fingerprint import name_of_loss, run_fingerprint
from medzoo.training.records.lineage import (
    architecture_name,
    learns_from,
    lineage,
    with_arguments_of,
)
from medzoo.training.records.run_files import RunFiles, default_name
from medzoo.training.state import Run, TrainState
from medzoo.training.validation_split import ensure_validation

Value = TypeVar("Value")


class Trainer:
    """Train a classifier on a data set's training split; choose the epoch on its validation split.

    At the end, the temperature of the weights that are kept and their 90 % prediction sets are
    fitted to the validation split (see `medzoo.calibrate`), so that their probabilities can be read
    as such; splits of fewer than 9 images are too small for sets. The test split is never read.
    With `output`, checkpoint and history are written after an epoch if the last ones are older than
    20 seconds, and when the run ends or is interrupted; the best weights at the end:
    ``<output>/models/<name>.safetensors``, ``<output>/models/<name>.checkpoint.safetensors`` and
    ``<output>/metrics/<name>.jsonl``.

    Under torchrun, every process makes the same Trainer. Each takes its part of every batch,
    gradients are averaged, and process 0 writes the files.

    Args:
        model: A classifier, e.g. from `medzoo.create_model`. It is trained in place.
        data: Its `train` and `val` splits are used. Without `val`, a part of `train` is used for
            it, as one warning says (see `medzoo.datasets.hold_out_validation`).
        recipe: A `Recipe`; or the name of a bundled recipe, a JSON file or a mapping of some
            fields, which change the bundled recipe for this model and data set (the default).
        output: Folder of the run's files, or None to write none.
        name: Name of the run, a part of file names, not a path; by default the architecture and
            the seed. If `output` has a finished run of this name, the new one is ``<name>-2``,
            ``<name>-3`` and so on.
        teacher: A model whose probabilities for each augmented batch are blended into its targets,
            by the share `Recipe.distillation`. Any callable that `medzoo.evaluate` takes, e.g. a
            `medzoo.Ensemble`.
        high_res: The same training images in a larger size, ``load_dataset(name, size=64)``. They
            are augmented and shown to the teacher, then scaled down for the model, so that
            rotated images stay as sharp as upright ones.
        device: ``"auto"`` (CUDA, then MPS, then CPU) or any PyTorch device.
        progress: Show what is about to be done, and then a progress bar; by default on a terminal
            and in Jupyter, and elsewhere (in a pipe, a log file) a line per epoch.
        tensorboard: Add a `TensorBoard` callback that writes to ``<output>/tensorboard/<name>``.
        compile: Compile the network with `torch.compile`. The first step takes minutes, later
            steps are faster. Weights files have the same format as without.
        ood_detector: Fit a detector of images of another kind at the end (see
            `medzoo.fit_ood_detector`), where the network and the number of images allow it.
        loss: Replaces the task's loss in training: a function of logits and target probabilities,
            both float32 (N, K), to a scalar. Targets are one-hot or multi-hot; label smoothing,
            mixing and a teacher make them soft, and unknown labels are NaN. ``val_loss`` remains
            the task's.
        callbacks: Objects whose methods run between epochs; see `Callback`.
        **unknown: Nothing; the error for fields of the recipe says where they belong.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If the run could not work: the model does not fit data or recipe, or cannot be
            written to `output`; the validation split has only one class; processes cannot share
            the batches; teacher, larger images or loss do not fit; or `torch.compile` cannot work
            here. The model is then unchanged.
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
        ood_detector: bool = True,
        loss: Loss | None = None,
        callbacks: Sequence[Callback] = (),
        **unknown: NoReturn,
    ) -> None:
        check_options("Trainer", unknown)
        check_dataset("data", data)
        check_callbacks(callbacks)
        data, high_res = ensure_validation(data, high_res)
        architecture = architecture_name(model)
        self.data = data
        self.recipe = r = with_arguments_of(model, load_recipe(recipe, architecture, data))
        self.device = device_of_process(device)
        self.name = default_name(architecture, r.seed) if name is None else name
        self.files = RunFiles(output, self.name, writes=rank() == 0)
        self.callbacks = [*([EarlyStopping(r.patience)] if r.patience else []), *callbacks]
        self.tensorboard = TensorBoard(self.files.tensorboard) if tensorboard else None
        if self.tensorboard is not None:
            self.callbacks.append(self.tensorboard)
        check_run(
            model,
            data,
            r,
            self.device,
            output=self.files.folder,
            teacher=teacher,
            high_res=high_res,
            loss=loss,
            compile=compile,
        )
        self.progress, self.compile, self.ood_detector = progress, compile, ood_detector
        self.high_res, self.teacher, self.own_loss = high_res, teacher, loss
        self.batches = BatchSource(data, r, self.device, high_res, teacher)
        model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Any classifier will do; from here on it has the attributes of create_model's.
        self.model = bind_to_dataset(model, data)
        self.state = TrainState(self.model, r, self.batches.steps_before(r.epochs), self.device)
        objective = loss or task_loss(data.train, r.class_weights, r.label_smoothing, self.device)
        self.loop = TrainLoop(self.state, self.batches, objective, r, self.device)
        self.fingerprint: dict[str, Any] = {}
        self._in_epoch = False

    def fit(self, resume: bool = False, *, overwrite: bool = False) -> Run:
        """Train to the end of the recipe, or until its patience or a callback ends the run.

        Args:
            resume: Go on from the run's last checkpoint, if there is one; the result is bit for
                bit that of a run that was never interrupted, on the same machine with as many
                processes. A run that a callback stopped is finished and goes no further.
            overwrite: Replace the last run of this name instead of adding another one. Its files
                are removed when the first epoch is written.

        Returns:
            The finished run; its model has the weights of the best epoch. Every process gets it.

        Raises:
            ValueError: If there is no folder to resume from, `resume` and `overwrite` are both
                given, or `torch.compile` does not work.
            TrainingError: If the last run of this name has not finished, and neither `resume` nor
                `overwrite` is given; another process or thread is training it; loss or outputs
                become infinite or NaN (the last good checkpoint is kept); a checkpoint is damaged
                or belongs to another run; a callback stops the run before its first epoch; or an
                earlier call ended inside of an epoch and there is no checkpoint to resume from.
            WriteError: If the files of the run cannot be written, which is found out before the
                first epoch, or the disk is full later; the last checkpoint is kept.
            KeyboardInterrupt: If the user interrupts it; the message says how to resume.

        Warns:
            UserWarning: If the run has ended, but its last files cannot be written, or a callback
                fails in `on_fit_end`. The run is returned all the same.
        """
        self.state.frozen.freeze()
        try:
            return self._fit(resume, overwrite)
        finally:
            self.state.frozen.unfreeze()  # whatever happened, the model may be trained again

    def _fit(self, resume: bool, overwrite: bool) -> Run:
        """Train, write, evaluate."""
        if resume and self.files.folder is None:
            raise ValueError("resume=True needs output=, the folder of the interrupted run")
        if resume and overwrite:
            raise ValueError("resume=True goes on with a run, overwrite=True replaces it; give one")
        if self.compile:
            try_compiler(self.device)
        with (
            process_group(self.device),
            self.files.claimed(
                resume=resume,
                overwrite=overwrite,
                is_source=lambda path: learns_from(path, self.recipe.backbone, self.teacher),
            ),
        ):
            self.name = self.files.name
            if self.tensorboard is not None:
                self.tensorboard.folder = self.files.tensorboard
            if self.files.folder is not None:
                teacher = self.batches.teacher
                self.fingerprint = run_fingerprint(
                    self.model, self.recipe, self.data, self.high_res, teacher, self.own_loss
                )
                self.fingerprint["steps"] = self.batches.steps_before(self.recipe.epochs)
            is_restored = resume and self.files.restore(self.state, self.fingerprint)
            if self._in_epoch and not is_restored:
                raise TrainingError(
                    f"the last run of this Trainer ended in epoch {self.state.progress.epoch + 1}, "
                    "in the middle of which it cannot go on; create model and Trainer again"
                )
            self._in_epoch = False
            run = RunState(self.name, self.recipe, self.state, self.state.progress.stopped)
            if self.progress is not False and rank() == 0:
                self._show_plan(run)
            self._call("on_fit_start", run)
            try:
                with self.files.flushed_if_it_fails():
                    self._train(run)
            except NotFiniteError as error:
                done, checkpoint = self.state.progress.epoch, self.files.checkpoint
                raise diverged(error, self.name, self.recipe, done, checkpoint) from error
            except KeyboardInterrupt:
                done, total = self.state.progress.epoch, self.recipe.epochs
                raise interrupted(self.name, done, total, self.files.checkpoint) from None
            finished = self._finish()
            for callback in self.callbacks if rank() == 0 else ():
                self._try(partial(callback.on_fit_end, run))
        return finished

    def _try(self, last: Callable[[], Value]) -> Value | None:
        """Do something after the training. An error is a warning, so that the run is not lost."""
        try:
            return last()
        except Exception as error:
            warn_caller(
                f"{self.name} is trained, and the run returned, but {type(error).__name__}: {error}"
                ". What was not written can be: medzoo.save_weights(run.model, path), or the same "
                "call with resume=True"
            )
            return None

    def _show_plan(self, run: RunState) -> None:
        seconds = None
        if run.epoch < self.recipe.epochs:
            seconds = estimate_epoch(self.model, self.data, self.recipe, self.batches, self.device)
        plan = describe_plan(
            self.model,
            self.data,
            self.recipe,
            self.files,
            self.batches,
            device=self.device,
            done=run.epoch,
            seconds=seconds,
        )
        print(plan, file=sys.stderr, flush=True)

    def _train(self, run: RunState) -> None:
        network = data_parallel(self.model, self.device)
        if self.compile:
            network = cast(nn.Module, torch.compile(network))
        done, epochs = run.epoch, self.recipe.epochs
        steps = self.batches.steps_before(done), self.batches.steps_before(epochs)
        with ProgressDisplay(self.name, (done, epochs), steps, self.progress) as display:
            while run.epoch < epochs and not run.stop_reason:
                if run.epoch > done:
                    self.files.write(self.state, self.fingerprint)
                self._train_epoch(network, run, display.step)
                display.epoch(run.row, run.best)
        if not run.history:
            raise TrainingError(f"{self.name} ended before its first epoch: {run.stop_reason}")
        is_validated = "val_auc" in run.row
        if not is_validated:  # the last epoch always is, also of a stopped run
            self._validate(run.row)
        if run.epoch > done or not is_validated:
            self._try(partial(self.files.write, self.state, self.fingerprint, last=True))

    def _train_epoch(
        self, network: nn.Module, run: RunState, after_step: Callable[[], object]
    ) -> None:
        """Train for an epoch, validate if it is time, ask the callbacks."""
        self._in_epoch = True
        began, progress, recipe = time.perf_counter(), self.state.progress, self.recipe
        loss = self.loop.epoch(network, run.epoch, after_step)
        seconds = time.perf_counter() - began
        row: dict[str, Any] = {"epoch": run.epoch + 1, "loss": loss}
        if row["epoch"] % recipe.validate_every == 0 or row["epoch"] == recipe.epochs:
            self._validate(row)
        row["lr"] = max(group["lr"] for group in self.state.optimizer.param_groups)
        row["images_per_second"] = self.batches.images_in(run.epoch) / seconds
        row["seconds"] = seconds
        progress.history.append(row)
        progress.epoch = row["epoch"]
        self._in_epoch = False
        self._call("on_epoch_end", run)

    def _validate(self, row: dict[str, Any]) -> None:
        """Add the scores of the averaged weights to an epoch's figures; keep the best weights."""
        average = self.state.average.module
        first = self.state.progress.best is None  # one warning is enough
        row |= validate(average, self.data.val, self.device, self.recipe.precision, warn=first)
        self.state.keep_if_best(row)

    def _call(self, hook: str, run: RunState) -> None:
        """Run the callbacks in process 0; all processes follow its decision to stop."""
        for callback in self.callbacks if rank() == 0 else ():
            getattr(callback, hook)(run)
        run.stop_reason = self.state.progress.stopped = broadcast(run.stop_reason)

    def _finish(self) -> Run:
        state, progress = self.state, self.state.progress
        self.model.load_state_dict(state.best)
        self.model.eval().to(memory_format=torch.contiguous_format)  # as create_model's
        # They may have been fitted by an earlier call of `fit`.
        self.model.spec = self.model.spec.uncalibrated()
        self.model.ood_detector = None
        val = self.data.val
        coverage = COVERAGE if calibration_images(val) >= images_needed(COVERAGE) else None
        fitted = calibrate(self.model, val, coverage=coverage, device=self.device, sharded=True)
        if self.ood_detector:
            with suppress(ValueError):  # too few images, or a network without feature maps
                detector = fit_ood_detector(self.model, self.data, device=self.device)
                self.model.ood_detector = detector
        origin = lineage(self.model, self.data, self.teacher, self.high_res)
        self.model.licence = origin["licence"]
        summary = {
            "recipe": self.recipe.to_dict(),
            **({"loss": name_of_loss(self.own_loss)} if self.own_loss else {}),
            **origin,
            "best_epoch": progress.best_epoch,
            "val_auc": fitted.auc,
            "val_acc": fitted.acc,
            "calibration": fitted.to_dict(),
            "seconds": sum(row["seconds"] for row in progress.history),
        }
        weights = self._try(partial(self.files.write_weights, self.model, summary))
        weights = broadcast(weights)  # no process may look for files that are still being written
        return Run.of(self.model, self.recipe, progress, fitted, weights)
