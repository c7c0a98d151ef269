"""From a model to an ONNX file for browsers, and what the page has to know about it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from medzoo.deployment.description import INPUT, OOD_SCORE
from medzoo.deployment.onnx_graph import export_onnx, in_evaluation_mode, resolve
from medzoo.inference.ood_scores import WithScores
from medzoo.inference.run import probabilities
from medzoo.lazy import import_optional
from medzoo.prediction.explain import explained_map
from medzoo.spec import ModelSpec
from medzoo.transforms import prepare_batch
from medzoo.web.graph import SCALE, half_weights, with_scale

WebPrecision = Literal["float16", "float32"]
"""How weights are stored; computed is in float32."""

MAX_CHANGE = 0.005
"""By which a probability may differ from the model's, or a score of unfamiliar images by that share
of the larger of it and 1; a visitor reads whole per cent."""

_CHECK_SIDE = 47  # pixels of the made-up image that browsers check themselves with
_CHECKED = 32  # images on which file and model are compared


@dataclass(frozen=True)
class WebNetwork:
    """A model as a page runs it.

    Attributes:
        file: Its path inside the page's folder, which contains a part of its sha256.
        content: The ONNX file.
        precision: How its weights are stored.
        difference: The largest difference of a probability between file and model.
        map_size: Height and width of the feature map whose places can be scaled, which HiResCAM
            needs; None if there is none.
        check: Logits of the file for a made-up image, with which a browser checks itself.
        ood_score: How unfamiliar that image is; None if the file does not say it.
    """

    file: str
    content: bytes
    precision: WebPrecision
    difference: float
    map_size: tuple[int, int] | None
    check: list[float]
    ood_score: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what the page has to know, as JSON-safe values."""
        return {
            "file": self.file,
            "bytes": len(self.content),
            "precision": self.precision,
            "difference": round(self.difference, 6),
            "map": self.map_size and list(self.map_size),
            "check": {"logits": self.check, OOD_SCORE: self.ood_score},
        }


def web_network(name: str, model: nn.Module) -> WebNetwork:
    """Write a model as an ONNX file for browsers, and check it against the model.

    Weights are stored in float16, which makes the file half as large, unless that changes a
    probability by more than `MAX_CHANGE`.

    Args:
        name: What it is called.
        model: A medzoo or timm classifier, or an ensemble, float32 and on the CPU.

    Raises:
        ImportError: If the extra ``medzoo[onnx]`` is missing.
        TypeError: If it is not a model, or does not say what it is.
        ValueError: If the model cannot be exported, or the file does not give its probabilities.
    """
    network, description = resolve(model, None)
    spec = description.spec
    full = export_onnx(network)
    map_size: tuple[int, int] | None = None
    image = prepare_batch(check_image()[None], spec.input).contiguous()
    features = _features(network, image)
    if features is not None and (scaled := with_scale(full, image.numpy(), features.numpy())):
        full, map_size = scaled, (features.shape[2], features.shape[3])
    written = WithScores(network) if description.has_ood_scores else network
    weights = {key: value.numpy() for key, value in written.state_dict().items()}
    candidates: list[tuple[WebPrecision, bytes]] = [("float32", full)]
    if (half := half_weights(full, weights)) is not None:
        candidates.insert(0, ("float16", half))
    runtime = import_optional("onnxruntime")
    for candidate in candidates:
        precision, content = candidate
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        difference, of_scores = _differences(written, session, spec, map_size)
        if max(difference, of_scores) <= MAX_CHANGE:
            break
    else:
        raise ValueError(
            f"a probability of the exported {name} differs by {difference:.2g} from the model's, "
            f"and a score of unfamiliar images by {of_scores:.2g}; at most {MAX_CHANGE} is "
            "allowed; please report this"
        )
    check, scores = _outputs(session, image, map_size)
    digest = hashlib.sha256(content).hexdigest()[:12]
    return WebNetwork(
        file=f"models/{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.{digest}.onnx",
        content=content,
        precision=precision,
        difference=difference,
        map_size=map_size,
        check=[round(logit, 6) for logit in check[0].tolist()],
        ood_score=None if scores is None else round(scores.item(), 6),
    )


def check_image() -> Tensor:
    """Return the made-up image of the check, uint8 (3, 47, 47); browser/model.js draws the same."""
    y, x = np.mgrid[:_CHECK_SIDE, :_CHECK_SIDE]
    planes = [(x * x + 3 * x * y + y * y + 85 * channel) >> 3 for channel in range(3)]
    return torch.from_numpy(np.stack(planes).astype(np.uint8))


def _features(network: nn.Module, image: Tensor) -> Tensor | None:
    """Return the feature map that `medzoo.explain` weighs; None for networks without one."""
    try:
        with in_evaluation_mode(network):
            return explained_map(network, image)
    except ValueError:
        return None


def _outputs(
    session: Any, images: Tensor, map_size: tuple[int, int] | None
) -> tuple[Tensor, Tensor | None]:
    """Return the logits of a file, and its scores of unfamiliar images if it has any."""
    values = {INPUT: images.numpy()}
    if map_size is not None:
        values[SCALE] = np.ones((1, 1, *map_size), np.float32)
    logits, *scores = map(torch.from_numpy, session.run(None, values))
    return logits, scores[0] if scores else None


def _differences(
    written: nn.Module, session: Any, spec: ModelSpec, map_size: tuple[int, int] | None
) -> tuple[float, float]:
    """Return the largest differences of probabilities, and of scores of unfamiliar images."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(_CHECKED - 1, 3, 5, 5, generator=generator)
    smooth = nn.functional.interpolate(coarse, (_CHECK_SIDE, _CHECK_SIDE), mode="bilinear")
    images = torch.cat([check_image()[None], (255 * smooth).to(torch.uint8)])
    batch = prepare_batch(images, spec.input).contiguous()
    with in_evaluation_mode(written), torch.inference_mode():
        expected = written(batch)
    found, scores = _outputs(session, batch, map_size)
    of_scores = 0.0
    if scores is not None:
        expected, own = expected
        of_scores = float(((scores - own).abs() / own.clamp(min=1)).max())
    first, second = (
        probabilities(logits.double() / spec.temperature, spec.task) for logits in (expected, found)
    )
    return float((first - second).abs().max()), of_scores
