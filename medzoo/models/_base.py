"""What every medzoo architecture shares: timm's model interface over a stem, stages and a head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING, Any

import torch
from timm.layers import ClassifierHead, SelectAdaptivePool2d
from timm.models import checkpoint
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from medzoo.models._classifier import Classifier, with_new_classifier
from medzoo.models._pretrained import entry_that_fits
from medzoo.models._stages import check_pooled, check_pooling, check_rate
from medzoo.spec import find_spec
from medzoo.spec.checks import MAX_CLASSES, check_whole


class Head(ClassifierHead):
    """timm's head, whose mean over a map has gradients in the layout of the map.

    The gradient of `mean` is laid out as NCHW. In a network that is trained in channels-last
    layout, the layers before it then read two layouts at once, which is slow. The gradient of
    `sum` has no layout of its own.

    Args:
        in_features: Channels of the final map.
        num_classes: Number of logits; 0 for no classifier.
        pool_type: timm's name of the pooling.
        drop_rate: Dropout before the classifier, in [0, 1).

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range, or the pooling is unknown.
    """

    def __init__(
        self, in_features: int, num_classes: int, pool_type: str = "avg", drop_rate: float = 0.0
    ) -> None:
        check_whole("num_classes", num_classes, 0, MAX_CLASSES)
        check_pooling(pool_type)
        check_rate("drop_rate", drop_rate)
        super().__init__(in_features, num_classes, pool_type, drop_rate)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map (N, C, H, W) to (N, num_classes), or to (N, C) before the classifier.

        Args:
            x: The final map.
            pre_logits: Leave out the classifier.
        """
        is_mean = False
        if not torch.jit.is_scripting():  # TorchScript cannot ask about hooks
            is_mean = self.training and _is_mean(self.global_pool)
        x = x.sum((2, 3)) / (x.shape[2] * x.shape[3]) if is_mean else self.global_pool(x)
        x = self.drop(x)
        return x if pre_logits else self.fc(x)


def _is_mean(pool: nn.Module) -> bool:
    """Return whether a pooling is timm's mean over a map, and nothing else happens in it."""
    if type(pool) is not SelectAdaptivePool2d or pool.pool_type != "avg":
        return False
    if not isinstance(pool.flatten, nn.Flatten) or getattr(pool.pool, "output_size", None) != 1:
        return False
    # What was changed or added on the module itself is what users expect to run.
    return not any(
        "forward" in vars(one)
        or one._forward_hooks
        or one._forward_pre_hooks
        or one._backward_hooks
        or one._backward_pre_hooks
        for one in pool.modules()
    )


class ImageClassifier(Classifier):
    """A convolutional classifier with timm's model interface.

    An architecture subclasses it, sets `stem`, `stages`, `final`, `head` and `feature_info` in its
    constructor, and inherits the rest.

    Args:
        num_classes: Number of logits; 0 for no classifier.
        num_features: Channels of the final feature map.

    Attributes:
        head_hidden_size: Channels that reach the classifier after pooling.
        feature_info: The levels of the feature pyramid, as `pyramid_levels` gives them.
        grad_checkpointing: See `set_grad_checkpointing`.
    """

    if TYPE_CHECKING:  # TorchScript cannot read annotations of layers
        stem: nn.Module
        stages: nn.Sequential
        final: nn.Module
        head: Head
        head_hidden_size: int
        feature_info: list[dict[str, Any]]

    def __init__(self, num_classes: int, num_features: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = num_features
        self.grad_checkpointing = False

    def get_classifier(self) -> nn.Module:
        """Return the final linear layer."""
        return self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier by a new, untrained one.

        Args:
            num_classes: Number of logits; 0 removes the classifier.
            global_pool: timm's pooling name (``"avg"``, ``"max"``, ...), or None to keep it.

        Raises:
            TypeError: If an argument is of the wrong type.
            ValueError: If the number is out of range, or the pooling is unknown.
        """
        check_whole("num_classes", num_classes, 0, MAX_CLASSES)
        if global_pool is None:
            check_pooled(getattr(self.head.global_pool, "pool_type", None), num_classes)
        else:
            check_pooling(global_pool)
            check_pooled(global_pool, num_classes)
        self.num_classes = num_classes
        self.head.reset(num_classes, global_pool)
        self.head_hidden_size = self.head.num_features
        self.ood_detector = None
        if (spec := find_spec(self)) is not None:
            self.spec = with_new_classifier(spec, num_classes, global_pool)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load tensors, as every module of PyTorch does.

        Args:
            state_dict: The tensors by name.
            strict: Whether all of them have to be used, and no other is needed.
            assign: Use the tensors themselves instead of their values.

        Raises:
            RuntimeError: If they do not fit; the message says which model they do fit.
        """
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self._advice(state_dict)}") from error

    def _advice(self, tensors: Mapping[str, Any]) -> str:
        """Say which model some tensors fit."""
        spec = find_spec(self)
        entry = entry_that_fits(spec.architecture, tensors, type(self)) if spec else None
        if entry is None:
            return (
                "These weights are those of another architecture, or of other arguments. If medzoo "
                "wrote the file, medzoo.create_model(path) builds the model that fits; otherwise "
                "give create_model the arguments that the weights were made with"
            )
        arguments = ", ".join(f"{k}={v!r}" for k, v in entry.spec.model_args.items())
        return (
            f"These weights fit {arguments}, as {entry.name!r} has them: build the model with "
            f"medzoo.create_model({entry.architecture!r}, ..., {arguments}), or load the published "
            f"weights with medzoo.create_model({entry.name!r}, pretrained=True)"
        )

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Return which parameters belong to the stem and to each stage, as in timm.

        All others (final, head, decoder) count as the last layer.

        Args:
            coarse: Accepted for timm's interface; a stage is one layer in both cases.
        """
        return {"stem": r"^stem", "stages": r"^stages\.(\d+)"}

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Save memory in training: keep only what enters a stage, and compute the rest again.

        Gradients and the statistics of batch norms stay the same; a step takes about a third
        longer. As in timm.

        Args:
            enable: Whether to do so.
        """
        self.grad_checkpointing = enable

    def checkpointed(self, stage: nn.Module, *maps: Tensor) -> Tensor:
        """Run a stage without keeping what is in it, for `grad_checkpointing`.

        Args:
            stage: The stage.
            *maps: Its input, (N, channels, h, w).
        """
        if not torch.is_grad_enabled():
            return stage(*maps)
        # A compiled graph computes again without updating anything.
        again = {} if torch.compiler.is_compiling() else {"context_fn": lambda: _contexts(stage)}
        return checkpoint(stage, *maps, use_reentrant=False, **again)

    def forward_maps(self, x: Tensor) -> list[Tensor]:
        """Return the stem's feature map and each stage's, from fine to coarse.

        Args:
            x: Images, (N, C, H, W), normalised.
        """
        maps = [self.stem(x)]
        for stage in self.stages:
            if self.grad_checkpointing and not torch.jit.is_scripting():
                maps.append(self.checkpointed(stage, maps[-1]))
            else:
                maps.append(stage(maps[-1]))
        return maps

    def combine_maps(self, maps: list[Tensor]) -> Tensor:
        """Make the final feature map from those of `forward_maps`; here from the last one only.

        Args:
            maps: The stem's map and each stage's, (N, channels, h, w) each.
        """
        return self.final(maps[-1])

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Return the maps of the feature pyramid, as timm's method of the same name.

        Args:
            x: Images, (N, C, H, W), normalised.
            indices: The last n levels, the given ones, or all (None).
            norm: Accepted for timm's interface; stages carry their own normalisation.
            stop_early: Accepted for timm's interface; the final features need all stages.
            output_fmt: Only ``"NCHW"``.
            intermediates_only: Return only the list of maps.

        Returns:
            The list of maps, or the final features and this list.

        Raises:
            ValueError: If `output_fmt` is not ``"NCHW"``.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt={output_fmt!r} is not supported; use 'NCHW'")
        wanted, _ = feature_take_indices(len(self.feature_info), indices)
        maps = self.forward_maps(x)
        chosen = [maps[1 + self.feature_info[index]["stage"]] for index in wanted]
        return chosen if intermediates_only else (self.combine_maps(maps), chosen)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images to the final feature map (N, num_features, h, w).

        Args:
            x: Images, (N, C, H, W), normalised.
        """
        return self.combine_maps(self.forward_maps(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map the final feature map to logits (N, num_classes), or to pooled features.

        Args:
            x: The final feature map, (N, num_features, h, w).
            pre_logits: Return the classifier's input, (N, head_hidden_size), instead of logits.
        """
        return self.head(x, pre_logits=pre_logits)

    def forward(self, x: Tensor) -> Tensor:
        """Map images to logits (N, num_classes).

        Args:
            x: Images, (N, C, H, W), normalised.
        """
        return self.forward_head(self.forward_features(x))


def _contexts(stage: nn.Module) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Return what a stage runs in the first time, and when it is computed again."""
    return nullcontext(), _fixed_statistics(stage)


@contextmanager
def _fixed_statistics(stage: nn.Module) -> Iterator[None]:
    """Let batch norms see a batch again without counting it twice."""
    norms = [one for one in stage.modules() if isinstance(one, nn.BatchNorm2d)]
    before = [(one.momentum, one.num_batches_tracked) for one in norms]
    for one in norms:
        one.momentum, one.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for one, (momentum, count) in zip(norms, before, strict=True):
            one.momentum, one.num_batches_tracked = momentum, count


def pyramid_levels(
    widths: Sequence[int], strides: Sequence[int], stem_stride: int
) -> list[dict[str, Any]]:
    """Describe the levels of a feature pyramid: the last stage of each resolution, as in timm.

    Args:
        widths: Channels of each stage.
        strides: Stride of each stage.
        stem_stride: Stride of the layers before them.

    Returns:
        A dictionary for each level: ``num_chs``, ``reduction`` (of the input's height and width),
        ``stage`` (its number) and ``module`` (its name).
    """
    reductions = list(accumulate(strides, mul, initial=stem_stride))[1:]
    last = {reduction: stage for stage, reduction in enumerate(reductions)}
    return [
        {
            "num_chs": widths[stage],
            "reduction": reduction,
            "stage": stage,
            "module": f"stages.{stage}",
        }
        for reduction, stage in last.items()
    ]
