"""`spec_of`: finding out what a model is, also through wrappers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from medzoo.spec.carrier import SpecCarrier
from medzoo.spec.checks import as_tuple
from medzoo.spec.input import InputSpec
from medzoo.spec.model import ModelSpec

if TYPE_CHECKING:
    from torch import nn

# torch is imported where a model is looked at: specs are also read without one, and quickly.


def spec_of(model: object, spec: ModelSpec | None = None) -> ModelSpec:
    """Return what a model is, also through the wrappers that people put around models.

    Looked through are `DataParallel`, `DistributedDataParallel`, `torch.compile`'s module,
    `AveragedModel`, `ModelEmaV3`, and any other module (a LightningModule, for example) that
    holds one medzoo or timm classifier and no other parameters. For a classifier that timm built,
    its `pretrained_cfg` is read. timm's feature extractors give no logits and have no spec.

    Args:
        model: A module, or any other callable from a float batch to logits.
        spec: What the model is, for one that does not say it. It is returned as it is.

    Raises:
        TypeError: If the model does not say what it is and no spec is given.
        ValueError: If the model's own configuration does not fit, e.g. an input that is not
            square, or if it holds several models or further layers.
    """
    if spec is not None:
        if not isinstance(spec, ModelSpec):
            raise TypeError(f"spec={spec!r:.80} is a {type(spec).__name__}, expected a ModelSpec")
        return spec
    found = find_spec(model)
    if found is None:
        raise TypeError(
            f"{_name_of(model)} does not say which images it expects and which classes its logits "
            "stand for; give spec=medzoo.ModelSpec(...), e.g. medzoo.ModelSpec.for_data(data) for "
            "a model of the images of a data set"
        )
    return found


def find_spec(model: object) -> ModelSpec | None:
    """Return what a model is, or None if it does not say so; see `spec_of`.

    Args:
        model: A module, or any other callable.

    Raises:
        ValueError: As `spec_of`.
    """
    return _own_spec(_unwrapped(model))


def network_of(model: Any) -> Any:
    """Return the model inside the wrappers that `spec_of` looks through, or the model itself.

    Args:
        model: A module; another callable is returned as it is.

    Raises:
        ValueError: As `spec_of`.
    """
    return _unwrapped(model)


def _unwrapped(model: Any) -> Any:
    """Return the one module inside a model that says what it is; the model if there is none."""
    from torch import nn

    if not isinstance(model, nn.Module) or _own_spec(model) is not None:
        return model
    inner = list({id(one): one for one in _classifiers(model)}.values())
    if not inner:
        return model
    held = {id(parameter) for one in inner for parameter in one.parameters()}
    others = [name for name, p in model.named_parameters() if id(p) not in held]
    others += [type(one).__name__ for one in _before_or_after(model, inner[0])]
    if len(inner) > 1 or others:
        what = f"{len(inner)} models" if len(inner) > 1 else f"a model and also {others[0]}"
        raise ValueError(
            f"{_name_of(model)} holds {what}, so it is unclear which images it expects and what "
            "its logits are; give spec=medzoo.ModelSpec(...)"
        )
    return inner[0]


def _before_or_after(model: nn.Module, inner: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that an `nn.Sequential` around a model applies to its input or output.

    Elsewhere, a module without parameters may be a loss or a metric, which changes neither.
    """
    from torch import nn

    for module in model.modules():
        if isinstance(module, nn.Sequential) and inner in set(module.modules()):
            for part in module:
                if type(part) is not nn.Identity and inner not in set(part.modules()):
                    yield part


def _own_spec(model: object) -> ModelSpec | None:
    """Return the spec that a model itself carries, or that its timm configuration amounts to."""
    from torch import nn

    if not isinstance(model, nn.Module):
        spec = getattr(model, "spec", None)
        return spec if isinstance(spec, ModelSpec) else None
    # In the instance itself: torch.compile's module passes other attributes on to the original.
    held = vars(model)
    if isinstance(model, SpecCarrier) and isinstance(held.get("_spec"), ModelSpec):
        return model.current_spec(held["_spec"])
    for name in ("_spec", "spec"):
        if isinstance(held.get(name), ModelSpec):
            return held[name]
    cfg, num_classes = held.get("pretrained_cfg"), held.get("num_classes")
    if not isinstance(cfg, Mapping) or not isinstance(num_classes, int):
        return None
    names = as_tuple("label_names", cfg.get("label_names") or ())
    if not len({*names}) == len(names) == num_classes:  # of another classifier, or ambiguous
        names = ()
    return ModelSpec(
        architecture="",
        input=input_of_timm(cfg),
        num_classes=num_classes,
        classes=names,
    )


def input_of_timm(cfg: Mapping[str, Any]) -> InputSpec:
    """Return the input that a configuration of timm describes.

    Args:
        cfg: As timm's ``model.pretrained_cfg``.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If something is missing, or the input is not square.
    """
    if missing := {"input_size", "mean", "std"} - cfg.keys():
        raise ValueError(f"the model's pretrained_cfg lacks {', '.join(sorted(missing))}")
    size = as_tuple("input_size", cfg["input_size"])
    if len(size) != 3:
        raise ValueError(f"the model's input_size={size!r:.80} must be channels, height and width")
    channels, height, width = size
    if height != width:
        raise ValueError(f"the model's input_size {cfg['input_size']!r} is not square")
    return InputSpec(channels, height, cfg["mean"], cfg["std"])


def _classifiers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the outermost modules inside a module that say what they are."""
    if type(module).__module__ == "timm.models._features":  # gives feature maps, not logits
        return
    for child in module.children():
        if _own_spec(child) is not None:
            yield child
        else:
            yield from _classifiers(child)


def _name_of(model: object) -> str:
    name = getattr(model, "__name__", None)
    return f"the function {name}" if isinstance(name, str) else f"a {type(model).__name__}"
